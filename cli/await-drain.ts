// Waits until a drain, or taking it back, has come to its end, and shows on stderr how it stands.

import { BilletError } from '#shared/errors.ts';
import { routes } from '#shared/routes/table.ts';
import type { Drain, DrainState } from '#shared/schema/drain.ts';
import type { Instance } from '#shared/schema/records.ts';
import type { Coordinator } from './client.ts';
import type { CommandIo } from './command-io.ts';
import { startStatus } from './progress.ts';

const POLL_MS = 1000;
const UNDER_WAY: ReadonlySet<DrainState> = new Set(['waiting', 'draining', 'uncordoning']);

/** The instance then. Throws TIMEOUT; DRAIN_INCOMPLETE, with what stayed, unless it was `wanted`. */
export async function awaitDrain(
  io: CommandIo,
  coordinator: Coordinator,
  first: Instance,
  wanted: { readonly drained: boolean; readonly timeoutMs: number },
): Promise<Instance> {
  const start = io.clock.monotonic();
  const status = startStatus(io);
  try {
    for (let instance = first; ; ) {
      const { drain } = instance;
      if (drain === null || !UNDER_WAY.has(drain.state)) {
        assertReached(instance, wanted.drained);
        return instance;
      }
      const waitedMs = io.clock.monotonic() - start;
      if (waitedMs >= wanted.timeoutMs) throw tooLate(instance, drain, wanted.timeoutMs);
      const seconds = io.interactive ? `, ${Math.round(waitedMs / 1000)} s` : '';
      status.say(`${instance.node} is ${drain.state}${seconds}`);
      await io.clock.sleep(POLL_MS, io.signal);
      const params = { id: instance.id };
      instance = await coordinator.call(routes.getInstance, { params });
    }
  } finally {
    status.end();
  }
}

function assertReached({ id, node, state, drain }: Instance, drained: boolean): void {
  const isReached = drained
    ? drain?.state === 'drained' || drain?.state === 'cordoned'
    : drain === null;
  if (isReached) return;
  const why = drain === null ? `it was taken back, and ${id} is ${state}` : reasonOf(drain);
  throw new BilletError('DRAIN_INCOMPLETE', `${id} of ${node}: ${why}`, {
    hint: `billet instance show ${id}; drain it again, or billet instance uncordon ${id}`,
    details: { state: drain?.state ?? null, stayed: drain?.report?.stayed ?? [] },
  });
}

const reasonOf = ({ state, message }: Drain) => [state, message].filter(Boolean).join(': ');

const tooLate = ({ id }: Instance, { state, task }: Drain, timeoutMs: number) =>
  new BilletError('TIMEOUT', `${id} is ${state} after ${timeoutMs / 1000} s`, {
    hint: `it goes on; look with billet task show ${task}, or end it with billet instance drain ${id} --cancel`,
    details: { task },
  });
