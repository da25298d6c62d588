// `billet token create|list|revoke`: bootstrap tokens, by which a machine enrolls once.

import { rm, writeFile } from 'node:fs/promises';
import { Command } from 'commander';
import { BilletError } from '#shared/errors.ts';
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
    .option('--ttl <seconds>', 'how long it may be used, 60 to 86400', '86400')
    .option('--write <file>', 'new file, mode 0600, for `billet-agent enroll --identity`');
  withRemoteOptions(create).action((instance: string, options: CreateOptions) =>
    withCoordinator(io, options, async (coordinator) => {
      const { shape } = routes.createToken.body;
      const body = {
        instance: await resolveInstance(coordinator, instance),
        ttlSeconds: parseArgument(shape.ttlSeconds, Number(options.ttl), '--ttl'),
      };
      // The file first: a secret that has nowhere to go must not be made.
      if (options.write !== undefined) await writeSecret(options.write, '', 'wx');
      const made = await coordinator
        .call(routes.createToken, { body })
        .catch(async (error: unknown) => {
          if (options.write !== undefined) await rm(options.write, { force: true });
          throw error;
        });
      const { instance: id } = made.token;
      if (options.write !== undefined) {
        const { coordinator: url, ca, secret: token } = made;
        const identity = { coordinator: url, ca, instance: id, token };
        await writeSecret(options.write, `${JSON.stringify(identity)}\n`, 'w');
        emit(io, options.json === true, made.token, () => [
          `token ${made.token.id} for ${id} is in ${options.write}`,
        ]);
        return;
      }
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
  withExamples(
    create,
    'billet token create web-1',
    'billet token create web-1 --ttl 600 --write web-1.json',
  );
}

type CreateOptions = RemoteOptions & { readonly ttl: string; readonly write?: string };

async function writeSecret(file: string, content: string, flag: 'wx' | 'w'): Promise<void> {
  try {
    await writeFile(file, content, { mode: 0o600, flag });
  } catch (cause) {
    const why = (cause as NodeJS.ErrnoException).code ?? String(cause);
    throw new BilletError('ARGUMENT_INVALID', `cannot write ${file}: ${why}`, {
      hint: 'name a file that does not exist yet, in a directory that does',
      cause,
    });
  }
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
