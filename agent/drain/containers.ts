// Names of the containers that run, for heartbeats. Asks the engine only where there is one; stops
// nothing.

import type { Clock } from '#shared/clock.ts';
import type { Engine } from './docker.ts';

const AGAIN_MS = 60_000;
const ANSWER_MS = 5_000;
const NAMES_MAX = 64;

/** None where there is no engine, or it does not answer: that was not measured then. */
export function containerNames(engine: Pick<Engine, 'observe'>, clock: Clock) {
  let known: { readonly at: number; readonly names: string[] | null } | null = null;
  return async (): Promise<{ containers?: string[] }> => {
    const now = clock.monotonic();
    if (known === null || known.at + AGAIN_MS <= now) {
      const seen = await engine.observe(AbortSignal.timeout(ANSWER_MS)).catch(() => null);
      const names = seen?.kind === 'up' ? seen.containers.map(({ name }) => name).sort() : null;
      known = { at: now, names: names?.slice(0, NAMES_MAX) ?? null };
    }
    return known.names === null ? {} : { containers: known.names };
  };
}
