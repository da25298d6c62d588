// The way in for `billet coordinator restore`: opens a backup file and restores it. Starts no
// coordinator.

import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import type { Clock } from '#shared/clock.ts';
import { BilletError } from '#shared/errors.ts';
import type { RestoreReport } from '#shared/restore-report.ts';
import { loadConfig } from '../config.ts';
import { restoreBackup } from './restore.ts';

export interface RestoreRequest {
  readonly file: string;
  /** As for the coordinator: which state directory follows from it. */
  readonly flags: readonly string[];
  readonly passphrase: string | null;
  readonly force: boolean;
  readonly clock: Clock;
  /** Bytes of the file read so far, and all of them. */
  readonly onProgress: (done: number, total: number) => void;
}

/** Errors of `restoreBackup`; NOT_FOUND without the file, CONFIG_INVALID. */
export async function runRestore(request: RestoreRequest): Promise<RestoreReport> {
  const { file, passphrase, force, clock, onProgress } = request;
  const { stateDir } = await loadConfig(request.flags);
  const total = await sizeOf(file);
  async function* counted(): AsyncGenerator<Uint8Array> {
    let done = 0;
    for await (const chunk of createReadStream(file, { highWaterMark: 1 << 20 })) {
      done += chunk.length;
      onProgress(done, total);
      yield chunk;
    }
  }
  const restored = await restoreBackup({ stateDir, bytes: counted(), passphrase, force, clock });
  const { header } = restored;
  return {
    stateDir,
    takenAt: header.at,
    revision: header.revision,
    from: header.history,
    history: restored.history,
    ca: header.ca,
    replaced: restored.replaced,
    instances: restored.instances,
    tokensRevoked: restored.tokens,
    missingBlobs: header.registry.included ? [] : header.registry.blobs,
    leftOut: header.leftOut,
  };
}

async function sizeOf(file: string): Promise<number> {
  try {
    return (await stat(file)).size;
  } catch (cause) {
    throw new BilletError('NOT_FOUND', `cannot read ${file}`, {
      hint: 'name the file that `billet coordinator backup` wrote',
      cause,
    });
  }
}
