// `billet credential create|list|delete`: who else may use the coordinator.

import { writeFile } from 'node:fs/promises';
import { Command } from 'commander';
import { BilletError } from '#shared/errors.ts';
import { routes } from '#shared/routes/table.ts';
import { CredentialName } from '#shared/schema/ids.ts';
import { type Credential, Role } from '#shared/schema/records.ts';
import { listAll } from '../client.ts';
import type { CommandIo } from '../command-io.ts';
import type { Context } from '../context.ts';
import { type Column, emit, table } from '../output.ts';
import {
  parseArgument,
  type RemoteOptions,
  withCoordinator,
  withExamples,
  withRemoteOptions,
} from '../remote.ts';

const COLUMNS: readonly Column<Credential>[] = [
  { header: 'NAME', value: ({ name }) => name, shrinks: true },
  { header: 'ROLE', value: ({ role }) => role },
  { header: 'CREATED', value: ({ createdAt }) => createdAt.slice(0, 16) },
  { header: 'CREATED BY', value: ({ createdBy }) => createdBy, shrinks: true },
];

export function credentialCommand(io: CommandIo): Command {
  const command = new Command('credential').description(
    'Credentials of people and programs. Roles: viewer reads, operator changes, admin does all.',
  );
  addCreate(command, io);
  addList(command, io);
  addDelete(command, io);
  return command;
}

function addCreate(parent: Command, io: CommandIo): void {
  const create = parent
    .command('create')
    .description('Make a credential, and write the context file that uses it.')
    .argument('<name>', 'name, e.g. anna or ci')
    .requiredOption('--role <role>', 'viewer, operator or admin')
    .requiredOption('--write <file>', 'new context file, mode 0600; the secret goes only there');
  withRemoteOptions(create).action(
    (name: string, options: RemoteOptions & { role: string; write: string }) =>
      withCoordinator(io, options, async (coordinator) => {
        const body = {
          name: parseArgument(CredentialName, name, 'name'),
          role: parseArgument(Role, options.role, '--role'),
        };
        const { url, ca } = coordinator.context;
        // The file first: a secret that has nowhere to go must not be made.
        await writeContext(options.write, { url, ca, credential: '-' }, 'wx');
        const { credential, secret } = await coordinator.call(routes.createCredential, { body });
        await writeContext(options.write, { url, ca, credential: secret }, 'w');
        emit(io, options.json === true, { credential, context: options.write }, () => [
          `credential ${credential.name} (${credential.role}) is in ${options.write}`,
          `Try: billet status --context ${options.write}`,
        ]);
      }),
  );
  withExamples(create, 'billet credential create ci --role operator --write ci.json');
}

function addList(parent: Command, io: CommandIo): void {
  const list = parent.command('list').description('List credentials, without their secrets.');
  withRemoteOptions(list).action((options: RemoteOptions) =>
    withCoordinator(io, options, async (coordinator) => {
      const credentials = await listAll<Credential>((page) =>
        coordinator.call(routes.listCredentials, { query: page }),
      );
      emit(io, options.json === true, credentials, () =>
        table(credentials, COLUMNS, io.columns, 'no credentials'),
      );
    }),
  );
  withExamples(list, 'billet credential list');
}

function addDelete(parent: Command, io: CommandIo): void {
  const remove = parent
    .command('delete')
    .description('Delete a credential; it is refused from then on.')
    .argument('<name>', 'name, as `billet credential list` prints it');
  withRemoteOptions(remove).action((name: string, options: RemoteOptions) =>
    withCoordinator(io, options, async (coordinator) => {
      const params = { name: parseArgument(CredentialName, name, 'name') };
      await coordinator.call(routes.deleteCredential, { params });
      emit(io, options.json === true, { deleted: name }, () => [`credential ${name} is deleted`]);
    }),
  );
  withExamples(remove, 'billet credential delete ci');
}

async function writeContext(file: string, context: Context, flag: 'wx' | 'w'): Promise<void> {
  try {
    await writeFile(file, `${JSON.stringify(context, null, 2)}\n`, { mode: 0o600, flag });
  } catch (cause) {
    throw new BilletError('ARGUMENT_INVALID', `cannot write the context ${file}`, {
      hint: 'name a new file in a folder that you may write to',
      cause,
    });
  }
}
