// `billet token create|list|revoke`: bootstrap tokens, by which a machine enrolls once.

import { Command } from 'commander';
import { routes } from '#shared/routes/table.ts';
import { TokenId } from '#shared/schema/ids.ts';
import type { Token } from '#shared/schema/records.ts';
import { listAll } from '../client.ts';
import type { CommandIo } from '../command-io.ts';
import { type Column, emit, listing, table } from '../output.ts';
import {
  parseArgument,
  type RemoteOptions,
  resolveInstance,
  withCoordinator,
  withExamples,
  withRemoteOptions,
} from '../remote.ts';

const COLUMNS: readonly Column<Token>[] = [
  { header: 'TOKEN', value: ({ id }) => id },
  { header: 'INSTANCE', value: ({ instance }) => instance },
  { header: 'STATE', value: ({ state }) => state },
  { header: 'EXPIRES', value: ({ expiresAt }) => expiresAt.slice(0, 16) },
  { header: 'CREATED BY', value: ({ createdBy }) => createdBy, shrinks: true },
];

export function tokenCommand(io: CommandIo): Command {
  const command = new Command('token').description(
    'Bootstrap tokens: single use, for one instance, at most 24 hours.',
  );
  addCreate(command, io);
  addList(command, io);
  addRevoke(command, io);
  return command;
}

function addCreate(parent: Command, io: CommandIo): void {
  const create = parent
    .command('create')
    .description('Make a token for one instance. The secret is shown once, and stored nowhere.')
    .argument('<instance>', 'instance id, or the name of its node')
    .option('--ttl <seconds>', 'how long it may be used, 60 to 86400', '86400');
  withRemoteOptions(create).action((instance: string, options: RemoteOptions & { ttl: string }) =>
    withCoordinator(io, options, async (coordinator) => {
      const { shape } = routes.createToken.body;
      const made = await coordinator.call(routes.createToken, {
        body: {
          instance: await resolveInstance(coordinator, instance),
          ttlSeconds: parseArgument(shape.ttlSeconds, Number(options.ttl), '--ttl'),
        },
      });
      emit(io, options.json === true, made, () => [
        ...listing(
          [
            ['token', made.token.id],
            ['instance', made.token.instance],
            ['expires', made.token.expiresAt],
          ],
          io.columns,
        ),
        '',
        'Words for the kernel command line (one line; the last one is the secret):',
        `billet.coordinator=${made.coordinator}`,
        `billet.ca=${made.ca}`,
        `billet.instance=${made.token.instance}`,
        `billet.token=${made.secret}`,
      ]);
    }),
  );
  withExamples(create, 'billet token create web-1', 'billet token create web-1 --ttl 600 --json');
}

function addList(parent: Command, io: CommandIo): void {
  const list = parent
    .command('list')
    .description('List tokens, without their secrets.')
    .option('--instance <id>', 'only those of this instance or node');
  withRemoteOptions(list).action((options: RemoteOptions & { instance?: string }) =>
    withCoordinator(io, options, async (coordinator) => {
      const query =
        options.instance === undefined
          ? {}
          : { instance: await resolveInstance(coordinator, options.instance) };
      const tokens = await listAll<Token>((page) =>
        coordinator.call(routes.listTokens, { query: { ...query, ...page } }),
      );
      emit(io, options.json === true, tokens, () =>
        table(tokens, COLUMNS, io.columns, 'no tokens'),
      );
    }),
  );
  withExamples(list, 'billet token list', 'billet token list --instance web-1');
}

function addRevoke(parent: Command, io: CommandIo): void {
  const revoke = parent
    .command('revoke')
    .description('Revoke a token. Certificates that it was used for stay.')
    .argument('<token>', 'token id, as `billet token list` prints it');
  withRemoteOptions(revoke).action((id: string, options: RemoteOptions) =>
    withCoordinator(io, options, async (coordinator) => {
      const params = { id: parseArgument(TokenId, id, 'token') };
      const token = await coordinator.call(routes.revokeToken, { params });
      emit(io, options.json === true, token, () => [`token ${token.id} is ${token.state}`]);
    }),
  );
  withExamples(revoke, 'billet token revoke k-0123456789abcdef');
}
