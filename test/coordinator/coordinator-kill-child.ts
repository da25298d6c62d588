// A coordinator that kills itself with SIGKILL at a commit; the parent moves its clock.

import { writeSync } from 'node:fs';
import { silentLog } from '../../coordinator/log.ts';
import { startCoordinator } from '../../coordinator/main.ts';
import { sqliteStore } from '../../coordinator/store/sqlite.ts';
import { startOptions, type ToChild, tickingClock } from './coordinator-kill-host.ts';
import { faultyStore } from './coordinator-kill-store.ts';

const [stateDir = '', port = '', at = '', side = '', since = ''] = process.argv.slice(2);
let offset = Number(since);
let listeners: (() => void)[] = [];
process.on('message', (message: ToChild) => {
  if ('advance' in message) offset = message.advance;
  else for (const wake of listeners.splice(0)) wake();
  process.send?.({ heard: true });
});

const coordinator = await startCoordinator(startOptions(stateDir, Number(port)), {
  clock: tickingClock(
    () => offset,
    (one) => {
      listeners = [...listeners, one];
    },
  ),
  log: { ...silentLog, error: (text) => void writeSync(2, `${text}\n`) },
  openStore: (path) =>
    faultyStore(sqliteStore({ path }), {
      kill: { at: Number(at), side: side === 'after' ? 'after' : 'before' },
      die: () => process.kill(process.pid, 'SIGKILL'),
      onAcknowledged: (revision) => process.send?.({ revision }),
      buried: new Promise<never>(() => undefined),
    }),
});
process.once('SIGTERM', () => coordinator.stop().then(() => process.disconnect?.()));
process.send?.({ serving: true });
