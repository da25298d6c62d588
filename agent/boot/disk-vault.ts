// The encrypted data disk: sealed once as it is installed, opened at each boot by the TPM, or, where that
// will not, by the recovery key that a person brings. Runs no tool itself.

import { BilletError } from '#shared/errors.ts';
import {
  makeRecoveryKey,
  normalizeRecoveryKey,
  sealRecoveryKey,
} from '#shared/recovery/recovery-key.ts';
import type { Luks } from '../drivers/luks.ts';
import type { DiskVault } from '../install/ports.ts';
import type { BootLog } from './boot-log.ts';

export interface VaultDeps {
  readonly luks: Luks;
  /** Throws TPM_MISSING. */
  readonly assertTpm: () => Promise<void>;
}

export const diskVault = ({ luks, assertTpm }: VaultDeps): DiskVault => ({
  async seal(partition, recipient, signal) {
    await assertTpm();
    const key = makeRecoveryKey();
    // First of all: a recipient that nobody can seal to costs no data.
    const sealed = sealRecoveryKey(key, recipient);
    await luks.format(partition, key, signal);
    await luks.bind(partition, key, signal);
    return sealed;
  },
  unlock: (partition, signal) => luks.unlock(partition, signal),
  lock: (_partition, signal) => luks.lock(signal),
});

export interface OpenVaultDeps {
  readonly luks: Luks;
  readonly log: Pick<BootLog, 'marker' | 'failure'>;
  /** What the hypervisor gave this machine; null without. */
  readonly givenKey: () => Promise<string | null>;
  /** What a person types on the console: resolves with the next line. */
  readonly typedKey: (signal: AbortSignal) => Promise<string>;
}

/**
 * The device with the content. Where the TPM does not open it, waits for the recovery key until `signal`
 * aborts: nothing else can go on, for all that this machine knows lies there. Whoever has the key has the
 * disk, so that the TPM, as it is now, is bound to it again.
 */
export async function openVault(
  { luks, log, givenKey, typedKey }: OpenVaultDeps,
  partition: string,
  signal: AbortSignal,
): Promise<string> {
  try {
    return await luks.unlock(partition, signal);
  } catch (error) {
    signal.throwIfAborted();
    log.failure('store-ready', error);
  }
  for (let given = await givenKey(); ; given = null) {
    try {
      const key = normalizeRecoveryKey(given ?? (await typedKey(signal)));
      if (key === null) throw unreadable();
      const device = await luks.unlockWith(partition, key, signal);
      await rebind(luks, log, partition, key, signal);
      return device;
    } catch (error) {
      signal.throwIfAborted();
      log.failure('store-ready', error);
    }
  }
}

/** Without it the machine runs, and asks again at its next boot. */
async function rebind(
  luks: Luks,
  log: OpenVaultDeps['log'],
  partition: string,
  key: string,
  signal: AbortSignal,
): Promise<void> {
  try {
    await luks.bind(partition, key, signal);
  } catch (error) {
    signal.throwIfAborted();
    log.failure('store-ready', error);
  }
}

const unreadable = (): BilletError =>
  new BilletError('RECOVERY_KEY_INVALID', 'this is no recovery key', {
    hint: 'it has eight groups of eight letters out of c b d e f g h i j k l n r t u v',
  });
