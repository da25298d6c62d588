// `billet status`: the coordinator at a glance.

import { Command } from 'commander';
import { routes } from '#shared/routes/table.ts';
import type { CommandIo } from '../command-io.ts';
import { emit, listing } from '../output.ts';
import { type RemoteOptions, withCoordinator, withExamples, withRemoteOptions } from '../remote.ts';

const aheadPair = (count: number): [string, string][] =>
  count === 0
    ? []
    : [['ahead', `${count} newer than the restored backup: billet instance accept --all, or ID`]];

const signalsPair = (count: number): [string, string][] =>
  count === 0 ? [] : [['signals', `${count} open: billet signal list`]];

const claimsPair = (count: number): [string, string][] =>
  count === 0 ? [] : [['claims', `${count} to be answered: billet claim list`]];

const installsPair = (count: number): [string, string][] =>
  count === 0
    ? []
    : [['installs', `${count} wait for a person: billet instance list --state installing`]];

export function statusCommand(io: CommandIo): Command {
  const command = new Command('status').description(
    'Show what the coordinator has: nodes, instances by state, connections and open tasks.',
  );
  withRemoteOptions(command).action((options: RemoteOptions) =>
    withCoordinator(io, options, async (coordinator) => {
      const status = await coordinator.call(routes.getStatus, {});
      const states = Object.entries(status.instances).map(([state, n]) => `${n} ${state}`);
      emit(io, options.json === true, status, () =>
        listing(
          [
            ['coordinator', `${coordinator.context.url}, version ${status.version}`],
            ['nodes', String(status.nodes)],
            ['instances', states.join(', ') || 'none'],
            ['connected', String(status.connected)],
            ['open tasks', String(status.openTasks)],
            ...signalsPair(status.openSignals),
            ...claimsPair(status.openClaims),
            ...installsPair(status.waitingInstalls),
            ...aheadPair(status.ahead),
            ['revision', `${status.revision} of history ${status.history}`],
            ['ca', status.ca],
          ],
          io.columns,
        ),
      );
    }),
  );
  return withExamples(command, 'billet status', 'billet status --json');
}
