// `billet instance accept`: lets instances that are newer than a restored backup go to what the
// coordinator has. One by one; what failed is named, and the others are done.

import { Command } from 'commander';
import { BilletError } from '#shared/errors.ts';
import { routes } from '#shared/routes/table.ts';
import type { InstanceId } from '#shared/schema/ids.ts';
import type { Instance } from '#shared/schema/records.ts';
import { type Coordinator, listAll } from '../client.ts';
import type { CommandIo } from '../command-io.ts';
import { emit } from '../output.ts';
import {
  type RemoteOptions,
  resolveInstance,
  withCoordinator,
  withExamples,
  withRemoteOptions,
} from '../remote.ts';

interface AcceptOptions extends RemoteOptions {
  readonly pool?: string;
  readonly all?: boolean;
}

export function instanceAcceptCommand(io: CommandIo): Command {
  const accept = new Command('accept')
    .description(
      'Let instances that are ahead of a restored backup go to what the coordinator has now.',
    )
    .argument('[instances...]', 'instance ids, or names of their nodes')
    .option('--pool <name>', 'all of this pool that are ahead')
    .option('--all', 'all that are ahead');
  withRemoteOptions(accept).action((names: readonly string[], options: AcceptOptions) =>
    withCoordinator(io, options, async (coordinator) => {
      const accepted: Instance[] = [];
      for (const id of await chosen(coordinator, names, options)) {
        const call = { params: { id }, body: {} };
        accepted.push(await coordinator.call(routes.acceptInstance, call));
      }
      emit(io, options.json === true, accepted, () =>
        accepted.length === 0
          ? ['no instance is ahead']
          : accepted.map(
              ({ id, node, generation }) =>
                `${id} (${node}) is accepted: it should be generation ${generation}`,
            ),
      );
    }),
  );
  return withExamples(
    accept,
    'billet instance accept web-1',
    'billet instance accept --pool edge',
    'billet instance list --json | jq ".[] | select(.ahead)"',
  );
}

async function chosen(
  coordinator: Coordinator,
  names: readonly string[],
  { pool, all }: AcceptOptions,
): Promise<readonly InstanceId[]> {
  const ways = [names.length > 0, pool !== undefined, all === true].filter(Boolean).length;
  if (ways !== 1)
    throw new BilletError('ARGUMENT_INVALID', 'name instances, or --pool, or --all', {
      hint: 'billet status says how many are ahead',
    });
  if (names.length > 0)
    return await Promise.all(names.map((name) => resolveInstance(coordinator, name)));
  const instances = await listAll<Instance>((page) =>
    coordinator.call(routes.listInstances, { query: page }),
  );
  const ahead = instances.filter((instance) => instance.ahead !== null);
  if (pool === undefined) return ahead.map(({ id }) => id);
  const found: InstanceId[] = [];
  for (const { id, node } of ahead) {
    const { spec } = await coordinator.call(routes.getNode, { params: { name: node } });
    if (spec.pool === pool) found.push(id);
  }
  return found;
}
