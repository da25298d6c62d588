// A process that restores a backup and dies (SIGKILL) at its n-th step; 0 is never.
// Arguments: state directory, backup file, n, `force` or nothing. Prints the steps that it reached.

import { createReadStream, writeSync } from 'node:fs';
import { restoreBackup } from '../../coordinator/backup/restore.ts';
import { systemClock } from '../../shared/clock.ts';

const [stateDir = '', file = '', at = '0', force] = process.argv.slice(2);
let count = 0;
await restoreBackup({
  stateDir,
  bytes: createReadStream(file),
  passphrase: null,
  force: force === 'force',
  clock: systemClock,
  onStep(step) {
    count += 1;
    writeSync(1, `${step}\n`);
    if (count === Number(at)) process.kill(process.pid, 'SIGKILL');
  },
});
