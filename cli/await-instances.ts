// Waits until instances are where they should be, and shows on stderr how they stand.

import { BilletError } from '#shared/errors.ts';
import { routes } from '#shared/routes/table.ts';
import type { InstanceId } from '#shared/schema/ids.ts';
import type { Instance, InstanceState } from '#shared/schema/records.ts';
import type { Coordinator } from './client.ts';
import type { CommandIo } from './command-io.ts';
import { startStatus } from './progress.ts';

const POLL_MS = 1000;

export interface Awaited {
  readonly wanted: InstanceState;
  /** In these nothing more comes by itself. */
  readonly stops: readonly InstanceState[];
  readonly timeoutMs: number;
}

/** All of them in `wanted`. Throws TIMEOUT, or PROVIDER_FAILED for one that stopped elsewhere. */
export async function awaitInstances(
  io: CommandIo,
  coordinator: Coordinator,
  ids: readonly InstanceId[],
  { wanted, stops, timeoutMs }: Awaited,
): Promise<readonly Instance[]> {
  const start = io.clock.monotonic();
  const status = startStatus(io);
  const read = (id: InstanceId) => coordinator.call(routes.getInstance, { params: { id } });
  try {
    for (;;) {
      const instances = await Promise.all(ids.map(read));
      const stopped = instances.find(({ state }) => state !== wanted && stops.includes(state));
      if (stopped) throw notReached(stopped, wanted);
      const waiting = instances.filter(({ state }) => state !== wanted);
      if (waiting.length === 0) return instances;
      const waitedMs = io.clock.monotonic() - start;
      if (waitedMs >= timeoutMs) throw tooLate(waiting, wanted, timeoutMs);
      status.say(statusText(waiting, wanted, io.interactive ? waitedMs : null));
      await io.clock.sleep(POLL_MS, io.signal);
    }
  } finally {
    status.end();
  }
}

function statusText(waiting: readonly Instance[], wanted: string, waitedMs: number | null): string {
  const seconds = waitedMs === null ? '' : `, ${Math.round(waitedMs / 1000)} s`;
  const shown = waiting.slice(0, 4).map((one) => {
    const phase = one.heartbeat === null ? '' : ` (${one.heartbeat.phase})`;
    const fault = one.machine?.fault ? `, ${one.machine.fault.code}` : '';
    return `${one.node} ${one.state}${phase}${fault}`;
  });
  const more = waiting.length > 4 ? `, ${waiting.length - 4} more` : '';
  return `waiting for ${wanted}: ${shown.join(', ')}${more}${seconds}`;
}

const notReached = ({ id, node, state, reason }: Instance, wanted: string) =>
  new BilletError('PROVIDER_FAILED', `${id} of ${node} is ${state}, not ${wanted}: ${reason}`, {
    hint: `billet instance show ${id}; billet events --subject instance/${id}`,
    details: { instance: id, state },
  });

function tooLate(waiting: readonly Instance[], wanted: string, timeoutMs: number): BilletError {
  const [first] = waiting;
  const fault = first?.machine?.fault;
  const why = fault ? `; ${fault.code}: ${fault.message}` : '';
  return new BilletError(
    'TIMEOUT',
    `${waiting.length} not ${wanted} after ${timeoutMs / 1000} s, the first ${first?.id} is ${first?.state}${why}`,
    {
      hint: `it goes on; look with billet instance show ${first?.id}`,
      details: { waiting: waiting.map(({ id }) => id) },
    },
  );
}
