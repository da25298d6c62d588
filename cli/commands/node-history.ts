// `billet node history`: every instance that a node has had, and what happened to them.

import type { Command } from 'commander';
import { routes } from '#shared/routes/table.ts';
import { NodeName } from '#shared/schema/ids.ts';
import type { Event, Instance } from '#shared/schema/records.ts';
import { type Coordinator, listAll } from '../client.ts';
import type { CommandIo } from '../command-io.ts';
import { eventFeed } from '../event-feed.ts';
import { type Column, emit, table } from '../output.ts';
import {
  parseArgument,
  type RemoteOptions,
  withCoordinator,
  withExamples,
  withRemoteOptions,
} from '../remote.ts';

interface Life {
  readonly instance: string;
  readonly state: Instance['state'];
  readonly provider: string;
  readonly createdAt: string;
  /** Null while it lives. */
  readonly endedAt: string | null;
  readonly reason: string;
}

export function addHistory(parent: Command, io: CommandIo): void {
  const history = parent
    .command('history')
    .description('Show every instance that a node has had, and what happened to it and to them.')
    .argument('<name>', 'name of the node, which may be deleted by now')
    .option('--events', 'also each event that is still kept (30 days)');
  withRemoteOptions(history).action(
    (text: string, options: RemoteOptions & { events?: boolean }) => {
      const node = parseArgument(NodeName, text, 'node');
      return withCoordinator(io, options, async (coordinator) => {
        const lives = await livesOf(coordinator, node);
        if (lives.length === 0) await coordinator.call(routes.getNode, { params: { name: node } });
        const subjects = [`node/${node}`, ...lives.map(({ instance }) => `instance/${instance}`)];
        const events = options.events ? await eventsOf(io, coordinator, subjects) : [];
        emit(io, options.json === true, { node, lives, events }, () => [
          ...table(lives, LIFE_COLUMNS, io.columns, `node ${node} has had no instance`),
          ...(options.events ? ['', ...table(events, EVENT_COLUMNS, io.columns, 'no events')] : []),
        ]);
      });
    },
  );
  withExamples(history, 'billet node history web-1', 'billet node history web-1 --events');
}

/** Oldest first. */
async function livesOf(coordinator: Coordinator, node: NodeName): Promise<readonly Life[]> {
  const instances = await listAll<Instance>((page) =>
    coordinator.call(routes.listInstances, { query: { node, ...page } }),
  );
  const lives = instances.map(({ id, state, provider, createdAt, stateSince, reason }) => ({
    ...{ instance: id, state, provider, createdAt, reason },
    endedAt: state === 'terminated' ? stateSince : null,
  }));
  return lives.sort((a, b) => (a.createdAt < b.createdAt ? -1 : 1));
}

async function eventsOf(
  io: CommandIo,
  coordinator: Coordinator,
  subjects: readonly string[],
): Promise<readonly Event[]> {
  const found: Event[] = [];
  for (const subject of subjects)
    found.push(...(await Array.fromAsync(eventFeed(io, coordinator, { follow: false, subject }))));
  return found.sort((a, b) => a.revision - b.revision);
}

const LIFE_COLUMNS: readonly Column<Life>[] = [
  { header: 'INSTANCE', value: ({ instance }) => instance },
  { header: 'STATE', value: ({ state }) => state },
  { header: 'FROM', value: ({ createdAt }) => createdAt.slice(0, 16) },
  { header: 'UNTIL', value: ({ endedAt }) => endedAt?.slice(0, 16) ?? '-' },
  { header: 'REASON', value: ({ reason }) => reason, shrinks: true },
];

const EVENT_COLUMNS: readonly Column<Event>[] = [
  { header: 'AT', value: ({ at }) => at.slice(0, 16) },
  { header: 'WHO', value: ({ actor }) => actor, shrinks: true },
  { header: 'KIND', value: ({ kind }) => kind },
  { header: 'WHAT', value: ({ text }) => text, shrinks: true },
];
