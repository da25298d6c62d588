// A machine whose clock is what libfaketime says, as a process: sets its clock as a boot does, if it
// is told to, and enrolls. Prints what came of it as JSON. Started by test/certificates/clock.peer.ts only.

import { writeFileSync } from 'node:fs';
import { bootClock } from '../../agent/boot/boot-clock.ts';
import { askNtp } from '../../agent/drivers/network-time.ts';
import { ensureEnrolled, keptCredentials } from '../../agent/identity/ensure-enrolled.ts';
import { coordinatorTime } from '../../agent/link/coordinator-time.ts';
import { systemClock } from '../../shared/clock.ts';
import { BilletError } from '../../shared/errors.ts';
import { Identity } from '../../shared/schema/identity.ts';
import { FACTS } from '../coordinator/coordinator-fixture.ts';

const { FAKETIME_TIMESTAMP_FILE = '', BILLET_IDENTITY = '', BILLET_DIR: dir = '' } = process.env;
const identity = Identity.parse(JSON.parse(BILLET_IDENTITY));
const never = new AbortController().signal;
const markers: string[] = [];
const setClock = bootClock({
  clock: systemClock,
  log: {
    marker: (stage, fields) => markers.push(`${stage} ${fields?.by}`),
    failure: (stage, error) => markers.push(`${stage} ${error}`),
  },
  async setClock(unixMs) {
    const text = new Date(unixMs).toISOString().replace('T', ' ').slice(0, 19);
    writeFileSync(FAKETIME_TIMESTAMP_FILE, `@${text}`);
  },
  builtAt: async () => Date.UTC(2025, 8, 20),
  kept: () => keptCredentials(dir),
  ask: coordinatorTime,
  async ntp(refuses, signal) {
    const [, port] = /--ntp=(\d+)/.exec(process.argv.join(' ')) ?? [];
    if (port === undefined) return null;
    return await askNtp(['127.0.0.1'], { clock: systemClock, port: Number(port), refuses }, signal);
  },
});

const at = systemClock.now();
if (process.argv.includes('--set-clock')) await setClock(identity, never);
const request = { identity, facts: FACTS, dir, clock: systemClock };
const result = await ensureEnrolled(request, never).then(
  ({ how }) => ({ how }),
  (error: unknown) => {
    if (!(error instanceof BilletError)) throw error;
    return { code: error.code, hint: error.hint };
  },
);
process.stdout.write(JSON.stringify({ at, now: systemClock.now(), markers, ...result }));
