// Starts the sensors of a coordinator. Wires; the work is in sweep.ts.

import { sweepEvery } from '../nodes/sweep.ts';
import { type SensorDeps, sensors } from './sweep.ts';

/** A look every so often, until `signal` aborts. */
export async function startSensors(deps: SensorDeps, signal: AbortSignal): Promise<void> {
  const { clock, log } = deps;
  const { sweep, release } = sensors(deps);
  const everyMs = deps.config.everySeconds * 1000;
  await sweepEvery({ everyMs, clock, log }, signal, async () => void (await sweep()));
  await release().catch((error) => log.warn('no release', { why: String(error) }));
}
