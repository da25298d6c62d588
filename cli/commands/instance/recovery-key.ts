// `billet instance recovery-key|recovery-keygen`: the keys that open an encrypted disk without its TPM.
// They are opened here, on the operator's machine: the coordinator has ciphertexts only.

import type { Command } from 'commander';
import { BilletError } from '#shared/errors.ts';
import { generateRecoveryKeyPair } from '#shared/recovery/key-pair.ts';
import { openRecoveryKey } from '#shared/recovery/recovery-key.ts';
import { routes } from '#shared/routes/table.ts';
import type { SealedRecoveryKey } from '#shared/schema/install-preview.ts';
import type { CommandIo } from '../../command-io.ts';
import { emit, listing } from '../../output.ts';
import {
  type RemoteOptions,
  resolveInstance,
  withCoordinator,
  withExamples,
  withRemoteOptions,
} from '../../remote.ts';
import { readText, writeNew } from '../module/files.ts';

interface RecoveryOptions extends RemoteOptions {
  readonly key?: string;
  readonly sealed?: boolean;
  readonly event?: string;
}

export function addRecoveryKey(parent: Command, io: CommandIo): void {
  const show = parent
    .command('recovery-key')
    .description('Print the recovery key of the disk of an instance, opened here with your key.')
    .argument('<instance>', 'instance id, or the name of its node')
    .option('--key <file>', 'private key of `recovery-keygen`')
    .option('--sealed', 'print it as the coordinator has it; open it elsewhere')
    .option('--event <id>', 'of this installation (default: the newest)');
  withRemoteOptions(show).action(async (text: string, options: RecoveryOptions) => {
    const { key, sealed = false } = options;
    if ((key === undefined) !== sealed)
      throw new BilletError('ARGUMENT_INVALID', 'either --key FILE or --sealed', {
        hint: 'billet instance recovery-key NAME --key operator.key',
      });
    const pem = key === undefined ? null : await readText(key, 'the private key');
    await withCoordinator(io, options, async (coordinator) => {
      const params = { id: await resolveInstance(coordinator, text) };
      const { items } = await coordinator.call(routes.listRecoveryKeys, { params });
      const found = chosen(items, text, options.event);
      const value = pem === null ? found.sealed : openRecoveryKey(found.sealed, pem);
      emit(io, options.json === true, { ...found, key: value }, () => [value]);
    });
  });
  withExamples(
    show,
    'billet instance recovery-key db-1 --key operator.key',
    'billet instance recovery-key db-1 --sealed > db-1.sealed',
  );
}

function chosen(
  items: readonly SealedRecoveryKey[],
  name: string,
  event: string | undefined,
): SealedRecoveryKey {
  const found = items.find((each) => (event ?? each.event) === each.event);
  if (found) return found;
  const events = items.map((each) => each.event).join(', ');
  throw new BilletError('NOT_FOUND', `there is no recovery key of ${name}`, {
    hint:
      events === ''
        ? 'one comes of an installation whose profile encrypts and whose plan has a recoveryRecipient'
        : `there are some of ${events}`,
  });
}

export function addRecoveryKeygen(parent: Command, io: CommandIo): void {
  const keygen = parent
    .command('recovery-keygen')
    .description('Make the key pair for recovery keys: PREFIX.key (mode 0600) and PREFIX.pub.')
    .argument('<prefix>')
    .option('--json', 'print JSON for programs')
    .action(async (prefix: string, options: { readonly json?: boolean }) => {
      const { privatePem, publicPem } = generateRecoveryKeyPair();
      const files = { private: `${prefix}.key`, public: `${prefix}.pub` };
      await writeNew(files.private, privatePem, 0o600);
      await writeNew(files.public, publicPem, 0o644);
      emit(io, options.json === true, { ...files, recoveryRecipient: publicPem }, () => [
        ...listing(
          [
            ['private', `${files.private} (keep it off nodes and coordinator, and do not lose it)`],
            ['public', files.public],
          ],
          io.columns,
        ),
        '',
        'Put the public half into install.recoveryRecipient of the class:',
        ...publicPem.trimEnd().split('\n'),
      ]);
    });
  withExamples(keygen, 'billet instance recovery-keygen operator');
}
