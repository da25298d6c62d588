// The install profiles of this boot image: folders of systemd-repart definitions (repart.d(5)). Reads
// what an installation has to know of them beforehand; systemd-repart reads the rest.

import { join } from 'node:path';
import { BilletError } from '#shared/errors.ts';
import { namesIn, textOrNull } from '../identity/source-file.ts';
import { PARTITION, type Profile } from './seen.ts';

const PROFILES_DIR = '/usr/share/billet/install';

/** Before the first partition, and for both partition tables. */
const AROUND_BYTES = 2 * 2 ** 20;
const UNITS: Readonly<Record<string, number>> = { '': 1, K: 2 ** 10, M: 2 ** 20, G: 2 ** 30 };

/** Sorted by name. Throws CONFIG_INVALID for definitions without a size and a label. */
export async function loadProfiles(dir = PROFILES_DIR): Promise<Profile[]> {
  const names = await namesIn(dir);
  return await Promise.all(names.map((name) => loadProfile(join(dir, name), name)));
}

async function loadProfile(dir: string, name: string): Promise<Profile> {
  const files = (await namesIn(dir)).filter((file) => file.endsWith('.conf'));
  const texts = await Promise.all(
    files.map(
      async (file) => [join(dir, file), (await textOrNull(join(dir, file))) ?? ''] as const,
    ),
  );
  const labels = texts.map(([path, text]) => settingIn(path, text, 'Label'));
  const sizes = texts.map(([path, text]) => bytesOf(path, settingIn(path, text, 'SizeMinBytes')));
  return {
    ...{ name, dir, labels },
    sizeBytesMin: sizes.reduce((sum, size) => sum + size, AROUND_BYTES),
    encrypts: labels.includes(PARTITION.locked),
  };
}

function settingIn(path: string, text: string, key: string): string {
  const value = new RegExp(`^${key}=(.+)$`, 'm').exec(text)?.[1]?.trim();
  if (value !== undefined) return value;
  throw invalid(path, `it says no ${key}=`);
}

function bytesOf(path: string, size: string): number {
  const [, digits, unit = ''] = /^(\d+)([KMG]?)$/.exec(size) ?? [];
  if (digits === undefined) throw invalid(path, `${size} is no size`);
  return Number(digits) * (UNITS[unit] ?? 1);
}

const invalid = (path: string, why: string): BilletError =>
  new BilletError('CONFIG_INVALID', `${path}: ${why}`, {
    hint: 'mend the definition in initramfs/repart.d, and build the boot image again',
  });
