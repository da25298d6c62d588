// Reads the spec of a leased task as one of its kind. An older agent meets newer specs: unknown keys
// are refused, as what they ask for would not be done.

import { BilletError } from '#shared/errors.ts';
import { describeFaults } from '#shared/schema/faults.ts';
import { type LeasedTask, NodeTaskSpec } from '#shared/schema/task.ts';

type Kind = NodeTaskSpec['kind'];

/** Throws BODY_INVALID, naming the field. */
export function specOf<K extends Kind>(
  task: LeasedTask,
  kind: K,
): Extract<NodeTaskSpec, { kind: K }> {
  const parsed = NodeTaskSpec.safeParse(task.spec);
  if (parsed.success && parsed.data.kind === kind)
    return parsed.data as Extract<NodeTaskSpec, { kind: K }>;
  const why = parsed.error ? describeFaults(parsed.error) : `its kind is ${parsed.data.kind}`;
  throw new BilletError(
    'BODY_INVALID',
    `task ${task.id} is no ${kind} that this version reads: ${why}`,
    { hint: 'compare the versions of agent and coordinator', cause: parsed.error },
  );
}
