// How fast nodes can come in: full handshakes, enrollments, renewals, for a second of the
// coordinator's CPU.

import type { Bench, BenchContext, Figure } from '../bench.ts';
import { median } from '../sample.ts';
import { type Bed, withFleet } from './agents.ts';

const ROUNDS = 3;
const ENROLLED = 200;
const HANDSHAKES = 1_500;
const ENROLLMENTS = 500;
const RENEWALS_EACH = 2;
const WIDTH = 32;

export const admissions: Bench = {
  name: 'link/admissions',
  limitMs: 180_000,
  needsArtifacts: false,
  run: (context) =>
    withFleet(context, { enrolled: ENROLLED, new: ROUNDS * ENROLLMENTS }, async (bed) => {
      const all = { from: 0, to: ENROLLED };
      const { agents } = bed;
      await agents.handshake({ ...all, count: ENROLLED, width: WIDTH });
      return [
        await rate(context, bed, 'full TLS 1.3 handshakes', HANDSHAKES, () =>
          agents.handshake({ ...all, count: HANDSHAKES, width: WIDTH }),
        ),
        await rate(context, bed, 'enrollments', ENROLLMENTS, (round) => {
          const from = ENROLLED + round * ENROLLMENTS;
          return agents.enroll({ from, to: from + ENROLLMENTS, width: WIDTH });
        }),
        await rate(context, bed, 'renewals', ENROLLED * RENEWALS_EACH, () =>
          agents.renew({ ...all, times: RENEWALS_EACH }),
        ),
      ];
    }),
};

async function rate(
  { clock, signal }: BenchContext,
  { coordinator }: Bed,
  what: string,
  count: number,
  work: (round: number) => Promise<void>,
): Promise<Figure> {
  const rates: number[] = [];
  const walls: number[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    signal.throwIfAborted();
    const start = clock.monotonic();
    const { cpuMs } = await coordinator.during(() => work(round));
    rates.push((count * 1000) / cpuMs);
    walls.push((count * 1000) / (clock.monotonic() - start));
  }
  return {
    name: `${what} for a CPU second`,
    value: median(rates),
    unit: '/s',
    target: null,
    note: `${NOTES[what]}; ${median(walls).toFixed(0)} a second by the wall clock, with the nodes on the same machine; median of ${ROUNDS}`,
  };
}

const NOTES: Readonly<Record<string, string>> = {
  'full TLS 1.3 handshakes': 'with client certificate (Ed25519), connection and session ticket',
  enrollments: 'token and CSR to certificate, over kept connections; committed to disk',
  renewals: `a handshake for each ${RENEWALS_EACH}; committed to disk`,
};
