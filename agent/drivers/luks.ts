// LUKS2 around the data disk: makes it, opens it by TPM or recovery key, binds it to the TPM anew. Keys
// go through stdin or a file in memory, never through arguments or environment. Decides nothing.
//
//   keyslot 0  the recovery key, token systemd-recovery
//   keyslot n  a secret that the TPM unseals while PCR 7 is as it was, token systemd-tpm2
//
// Tools: cryptsetup(8) with systemd's token plugin, systemd-cryptenroll(1).

import { mkdtemp, open, rm, stat, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { BilletError } from '#shared/errors.ts';
import { namesIn, textOrNull } from '../identity/source-file.ts';
import type { Exec } from './exec.ts';
import { BOUND_PCR } from './tpm.ts';

export const LUKS_LABEL = 'billet-persist-luks';
/** Below /dev/mapper. */
const MAPPED = 'billet-persist';

export interface Luks {
  /** Makes LUKS2 with this key in its first slot. What was on the partition is gone. COMMAND_FAILED. */
  format(partition: string, recoveryKey: string, signal: AbortSignal): Promise<void>;
  /** The TPM as it is now opens it from now on, and no earlier state of it does. COMMAND_FAILED. */
  bind(partition: string, recoveryKey: string, signal: AbortSignal): Promise<void>;
  /** The device with the content, opened by the TPM; open already is fine. PERSIST_LOCKED. */
  unlock(partition: string, signal: AbortSignal): Promise<string>;
  /** The same by the recovery key. RECOVERY_KEY_WRONG. */
  unlockWith(partition: string, recoveryKey: string, signal: AbortSignal): Promise<string>;
  lock(signal: AbortSignal): Promise<void>;
}

export interface LuksOptions {
  readonly exec: Exec;
  readonly root?: string;
  /** As systemd-cryptenroll(1) names it. */
  readonly tpm?: string;
  /** On tmpfs: a key lies there as a file for as long as one program runs. */
  readonly runDir: string;
}

/** The key comes out of 256 random bits: stretching it adds time, and nothing else. */
const PBKDF = ['--pbkdf', 'pbkdf2', '--pbkdf-force-iterations', '1000'] as const;
/** cryptsetup(8), "RETURN CODES". */
const NO_PERMISSION = 2;

export function luks({ exec, root = '/', tpm = 'auto', runDir }: LuksOptions): Luks {
  const device = join(root, 'dev/mapper', MAPPED);

  /** No udev runs here, and nobody else makes the node below /dev/mapper. */
  const cryptsetup = (args: readonly string[], signal: AbortSignal, input?: string) =>
    exec(['env', 'DM_DISABLE_UDEV=1', 'cryptsetup', ...args], signal, input);

  async function done(
    run: ReturnType<Exec>,
    what: string,
    hint = 'look at the disk and the TPM: dmesg | tail',
  ): Promise<void> {
    const { code, stderr, stdout } = await run;
    if (code === 0) return;
    const said = (stderr.trim() || stdout.trim()).slice(-1000);
    throw new BilletError('COMMAND_FAILED', `${what} ended with ${code}: ${said}`, {
      hint,
      details: { code },
    });
  }

  /** Nothing announces itself for it. One that is not there is what opening says. */
  const loadDriver = (signal: AbortSignal) =>
    exec(['/usr/sbin/modprobe', '-q', 'dm-crypt'], signal);

  const isOpen = () =>
    stat(device).then(
      () => true,
      () => false,
    );

  /** Open already; COMMAND_FAILED where that is another disk of this agent's. */
  async function isOpenOver(partition: string): Promise<boolean> {
    if (!(await isOpen())) return false;
    const below = await belowMapping(root);
    if (below.includes(basename(partition))) return true;
    throw new BilletError(
      'COMMAND_FAILED',
      `${MAPPED} is open over ${below.join(', ') || 'nothing'}, and not over ${partition}`,
      { hint: 'start the machine with one of the two encrypted disks only' },
    );
  }

  return {
    async format(partition, recoveryKey, signal) {
      const how = ['--batch-mode', '--type', 'luks2', ...PBKDF, '--label', LUKS_LABEL];
      await done(
        cryptsetup(['luksFormat', ...how, '--key-file', '-', partition], signal, recoveryKey),
        `cryptsetup luksFormat ${partition}`,
      );
      const token = JSON.stringify({ type: 'systemd-recovery', keyslots: ['0'] });
      await done(
        cryptsetup(['token', 'import', '--token-id', '0', partition], signal, token),
        'cryptsetup token import',
      );
    },
    async bind(partition, recoveryKey, signal) {
      // An empty public key: no policy that somebody else could sign is searched for.
      const tpmSlot = [`--tpm2-device=${tpm}`, `--tpm2-pcrs=${BOUND_PCR}`, '--tpm2-public-key='];
      await withKeyFile(runDir, recoveryKey, async (file) => {
        // First on its own: with the same PCRs in another TPM, it would take the old slot for the new.
        for (const what of [['--wipe-slot=tpm2'], tpmSlot])
          await done(
            exec(['systemd-cryptenroll', `--unlock-key-file=${file}`, ...what, partition], signal),
            `systemd-cryptenroll ${partition}`,
          );
      });
    },
    async unlock(partition, signal) {
      if (await isOpenOver(partition)) return device;
      await loadDriver(signal);
      const token = ['--token-only', '--token-type', 'systemd-tpm2', '--allow-discards'];
      const { code, stderr } = await cryptsetup(
        ['open', '--type', 'luks2', ...token, partition, MAPPED],
        signal,
      );
      if (code === 0) return device;
      throw locked(partition, stderr.trim().slice(-500) || `cryptsetup ended with ${code}`);
    },
    async unlockWith(partition, recoveryKey, signal) {
      if (await isOpenOver(partition)) return device;
      await loadDriver(signal);
      const key = ['--key-file', '-', '--allow-discards'];
      const opened = cryptsetup(
        ['open', '--type', 'luks2', ...key, partition, MAPPED],
        signal,
        recoveryKey,
      );
      if ((await opened).code === NO_PERMISSION)
        throw new BilletError(
          'RECOVERY_KEY_WRONG',
          `this is not the recovery key of ${partition}`,
          {
            hint: 'its owner has it: billet instance recovery-key NAME --key operator.key',
          },
        );
      await done(opened, `cryptsetup open ${partition}`);
      return device;
    },
    async lock(signal) {
      if (await isOpen()) await done(cryptsetup(['close', MAPPED], signal), 'cryptsetup close');
    },
  };
}

/** Kernel names of what the mapping lies on (Documentation/ABI/testing/sysfs-block-dm). */
async function belowMapping(root: string): Promise<string[]> {
  const at = join(root, 'sys/class/block');
  for (const name of (await namesIn(at)).filter((each) => each.startsWith('dm-')))
    if ((await textOrNull(join(at, name, 'dm/name')))?.trim() === MAPPED)
      return await namesIn(join(at, name, 'slaves'));
  return [];
}

/** systemd-cryptenroll reads no socket, which is what stdin of a child is here. */
async function withKeyFile(
  runDir: string,
  key: string,
  use: (file: string) => Promise<void>,
): Promise<void> {
  const dir = await mkdtemp(join(runDir, 'key-'));
  try {
    const file = join(dir, 'key');
    await writeFile(file, key, { mode: 0o600 });
    await use(file);
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

const locked = (partition: string, why: string): BilletError =>
  new BilletError('PERSIST_LOCKED', `the TPM does not open ${partition}: ${why}`, {
    hint: 'firmware or its keys changed, or the TPM was cleared: type the recovery key on this console',
    details: { partition },
  });

/** The first partition with LUKS2 of this label, in order of kernel names; null if there is none. */
export async function findLuks(label = LUKS_LABEL, root = '/'): Promise<string | null> {
  for (const name of await namesIn(join(root, 'sys/class/block'))) {
    if (/^(loop|ram|zram|dm-|sr|fd)/.test(name)) continue;
    const device = join(root, 'dev', name);
    if ((await labelOn(device)) === label) return device;
  }
  return null;
}

/** A device that is gone, empty or without a medium holds no LUKS. */
async function labelOn(device: string): Promise<string | null> {
  const handle = await open(device, 'r').catch(() => null);
  if (handle === null) return null;
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(72), 0, 72, 0);
    return luksLabel(buffer.subarray(0, bytesRead));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EIO') return null;
    throw error;
  } finally {
    await handle.close();
  }
}

/** LUKS2 On-Disk Format 1.1.2, §2.1: magic, version, sizes, then the label at 24. Null: no LUKS2. */
export function luksLabel(header: Buffer): string | null {
  const magic = Buffer.from([0x4c, 0x55, 0x4b, 0x53, 0xba, 0xbe]);
  if (header.length < 72 || !header.subarray(0, 6).equals(magic)) return null;
  if (header.readUInt16BE(6) !== 2) return null;
  return header.toString('latin1', 24, 72).replace(/\0.*$/s, '');
}
