// What tests of `hardware-smoke` against a BMC have in common: a clock that does not wait, and what a
// machine prints once its power is on.

import type { Clock } from '#shared/clock.ts';
import { systemClock } from '#shared/clock.ts';
import { markerLine } from '#shared/markers.ts';

const POWER_MS = 20_000;
const STAGES = [
  ...(['boot-start', 'store-ready', 'network-up', 'identity', 'enrolled', 'desired'] as const),
  ...(['pulled', 'verified', 'composed', 'sealed', 'mounted', 'switch-root'] as const),
  ...(['agent-start', 'ready'] as const),
];

/** Minutes of waiting for a BMC pass in a moment. */
export function quickClock(): Clock {
  let ahead = 0;
  return {
    now: () => systemClock.now(),
    monotonic: () => systemClock.monotonic() + ahead,
    sleep: async (ms, signal) => {
      if (ms >= 1000) ahead += ms * 10;
      await systemClock.sleep(Math.min(ms, 20), signal);
    },
  };
}

/** The console of a machine that boots from the medium to ready when its power goes on. */
export async function bootWhenOn(isOn: () => boolean, say: (text: string) => void): Promise<void> {
  const limit = AbortSignal.timeout(POWER_MS);
  while (!isOn() && !limit.aborted) await systemClock.sleep(20, limit).catch(() => undefined);
  say('\u001b[2J\u001b[1;1HBdsDxe: loading Boot0001\r\n');
  for (const stage of STAGES) say(`${markerLine(stage)}\r\n`);
}
