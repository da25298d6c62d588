// `billet coordinator backup FILE`: the running coordinator's state as one file, made beside it and then
// put in its place, so that a file of that name is always whole.

import { open, readFile, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Command } from 'commander';
import { BilletError } from '#shared/errors.ts';
import { routes } from '#shared/routes/table.ts';
import type { CommandIo } from '../command-io.ts';
import { bytes, emit } from '../output.ts';
import { readPassphrase } from '../passphrase.ts';
import { startStatus } from '../progress.ts';
import { type RemoteOptions, withCoordinator, withExamples, withRemoteOptions } from '../remote.ts';

interface BackupOptions extends RemoteOptions {
  readonly passphraseFile?: string;
  readonly withRegistry?: boolean;
  readonly force?: boolean;
  readonly stateDir?: string;
}

const REPORT_BYTES = 16 * 1024 * 1024;

export function backupCommand(io: CommandIo): Command {
  const command = new Command('backup')
    .description('Write the state of the running coordinator to a file, as root on its machine.')
    .argument('<file>', 'where to; holds the CA key: mode 0600')
    .option('--passphrase-file <file>', 'encrypt it with the first line of this file')
    .option('--with-registry', 'the blobs of the registry as well')
    .option('--force', 'replace a file that is there')
    .option('--state-dir <dir>', "the coordinator's, if it is not where the context lies");
  withRemoteOptions(command).action((file: string, options: BackupOptions) =>
    withCoordinator(io, options, async (coordinator) => {
      const stateDir = options.stateDir ?? dirname(coordinator.context.file);
      const body = {
        local: await localSecret(stateDir),
        withRegistry: options.withRegistry === true,
        passphrase: await readPassphrase(options.passphraseFile),
      };
      const status = startStatus(io);
      const sizeBytes = await writeWhole(file, options.force === true, async (write) => {
        const response = await coordinator.open(routes.takeBackup, { body });
        let done = 0;
        let said = 0;
        for await (const chunk of response.body) {
          await write(chunk);
          done += chunk.length;
          if (done - said < REPORT_BYTES) continue;
          said = done;
          status.say(`${bytes(done)} written`);
        }
        return done;
      }).finally(() => status.end());
      const encrypted = body.passphrase !== null;
      emit(io, options.json === true, { file, sizeBytes, encrypted }, () => [
        `${file}: ${bytes(sizeBytes)}${encrypted ? ', encrypted' : ', NOT encrypted: it holds the key of the CA'}`,
        `Next: copy it to another machine; billet coordinator restore ${file} brings it back`,
      ]);
    }),
  );
  return withExamples(
    command,
    'billet coordinator backup /srv/billet.backup --passphrase-file passphrase',
    'billet coordinator backup everything.backup --with-registry',
  );
}

async function localSecret(stateDir: string): Promise<string> {
  const path = join(stateDir, 'local.secret');
  try {
    return await readFile(path, 'utf8');
  } catch (cause) {
    throw new BilletError('FORBIDDEN', `cannot read ${path}`, {
      hint: "run this as root on the coordinator's machine; --state-dir names its state directory",
      cause,
    });
  }
}

/** The whole file, synced, or none. CONFLICT when there is one and `replace` is not given. */
async function writeWhole(
  path: string,
  replace: boolean,
  fill: (write: (chunk: Uint8Array) => Promise<void>) => Promise<number>,
): Promise<number> {
  const target = await open(path, 'r').catch(() => null);
  await target?.close();
  if (target !== null && !replace)
    throw new BilletError('CONFLICT', `${path} exists`, {
      hint: 'name another file, or give --force to replace it',
    });
  const partial = `${path}.partial`;
  await rm(partial, { force: true });
  const file = await open(partial, 'wx', 0o600);
  try {
    try {
      const size = await fill(async (chunk) => {
        await file.writeFile(chunk);
      });
      await file.sync();
      await rename(partial, path);
      return size;
    } finally {
      await file.close();
    }
  } catch (error) {
    await rm(partial, { force: true });
    throw error;
  }
}
