// Takes a backup of a running coordinator: a copy of the store as of one revision, the secrets as they
// were before and after it, and the registry if it is asked for. Changes nothing.

import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '#shared/clock.ts';
import type { Digest } from '#shared/digest.ts';
import { BilletError } from '#shared/errors.ts';
import { VERSION } from '#shared/version.ts';
import { isoTime } from '../ids.ts';
import type { Snapshot, Store } from '../store/store.ts';
import { type BackupFile, type BackupHeader, writePayload } from './format.ts';
import { sealBackup } from './seal.ts';
import {
  fileOnDisk,
  leftOut,
  readSecrets,
  registryBlobs,
  registryFiles,
  SCRATCH,
  type SmallFile,
  STORE_FILE,
  sameFiles,
} from './state-files.ts';

export interface BackupOptions {
  readonly stateDir: string;
  readonly store: Store;
  /** Fingerprint of the CA that issues. */
  readonly ca: () => Digest;
  readonly clock: Clock;
  readonly withRegistry: boolean;
  /** Null: not encrypted. */
  readonly passphrase: string | null;
}

/** A CA that is rotated while it is copied: again, so often. */
const ATTEMPTS = 3;

/**
 * The bytes of the file. Its copy of the store is gone when this ends, however it ends. UNSUPPORTED
 * when the store is no file here; STORE_FULL; CONTENDED when keys change all the time.
 */
export async function* takeBackup(options: BackupOptions): AsyncGenerator<Uint8Array> {
  const { stateDir, withRegistry, passphrase } = options;
  const scratch = await mkdtemp(join(stateDir, SCRATCH));
  try {
    const { snapshot, secrets, ca } = await copyState(options, join(scratch, STORE_FILE));
    const header: BackupHeader = {
      billet: VERSION,
      at: isoTime(options.clock.now()),
      history: snapshot.historyId,
      revision: snapshot.revision,
      ca,
      registry: { included: withRegistry, blobs: await registryBlobs(stateDir) },
      leftOut: await leftOut(stateDir, withRegistry),
    };
    async function* files(): AsyncGenerator<BackupFile> {
      for (const { path, bytes } of secrets) yield smallFile(path, bytes);
      yield* fileOnDisk(join(scratch, STORE_FILE), STORE_FILE);
      if (withRegistry) yield* registryFiles(stateDir);
    }
    yield* sealBackup(writePayload(header, files()), passphrase);
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

interface Copied {
  readonly snapshot: Snapshot;
  readonly secrets: readonly SmallFile[];
  readonly ca: Digest;
}

async function copyState({ stateDir, store, ca }: BackupOptions, to: string): Promise<Copied> {
  if (store.snapshot === undefined)
    throw new BilletError('UNSUPPORTED', 'this store is not kept here', {
      hint: 'back it up with its own tool, e.g. etcdctl snapshot save',
    });
  for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
    const [secrets, fingerprint] = [await readSecrets(stateDir), ca()];
    const snapshot = await store.snapshot(to);
    const isSteady = sameFiles(secrets, await readSecrets(stateDir)) && fingerprint === ca();
    if (isSteady) return { snapshot, secrets, ca: fingerprint };
    await rm(to, { force: true });
  }
  throw new BilletError('CONTENDED', 'keys changed while they were copied', {
    hint: 'try again when nobody rotates the CA',
  });
}

const smallFile = (path: string, bytes: Buffer): BackupFile => ({
  path,
  sizeBytes: bytes.length,
  bytes: (async function* () {
    yield bytes;
  })(),
});

/** Removes what backups left that were cut short. Only who holds the store may. */
export async function removeScratch(stateDir: string): Promise<void> {
  for (const name of await readdir(stateDir))
    if (name.startsWith(SCRATCH)) await rm(join(stateDir, name), { recursive: true, force: true });
}
