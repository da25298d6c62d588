// Applies the settings of a node to its running system: host name, time zone, DNS, break-glass keys.
// Writes only what differs; what a setting leaves out is left as the system image has it.

import { mkdir, readlink, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { NodeSettings } from '../reconcile/ports.ts';
import { settingsFiles } from '../reconcile/settings-files.ts';
import { readFileOrNull, writeFileAtomic } from './files.ts';

export interface NodeSettingsOptions {
  /** Stands before every path; `/` but in tests. */
  readonly root?: string;
}

export function hostNodeSettings({ root = '/' }: NodeSettingsOptions = {}): NodeSettings {
  return {
    async apply(settings) {
      for (const file of settingsFiles(settings)) {
        const path = join(root, file.path);
        // /root/.ssh; the others have their directory in any image.
        await mkdir(dirname(path), { recursive: true, mode: 0o700 });
        if ('linkTo' in file) await link(path, file.linkTo);
        else await replace(path, file.content, file.mode);
      }
      if (settings.hostname !== undefined)
        await nameKernel(join(root, '/proc/sys/kernel/hostname'), settings.hostname);
    },
  };
}

async function replace(path: string, text: string, mode: number): Promise<void> {
  if ((await readFileOrNull(path))?.toString('utf8') === text) return;
  await writeFileAtomic(path, text, { mode });
}

async function link(path: string, target: string): Promise<void> {
  if ((await readlinkOrNull(path)) === target) return;
  const temporary = `${path}.billet`;
  await rm(temporary, { force: true });
  await symlink(target, temporary);
  await rename(temporary, path);
}

async function nameKernel(path: string, name: string): Promise<void> {
  if ((await readFileOrNull(path))?.toString('utf8').trim() !== name) await writeFile(path, name);
}

async function readlinkOrNull(path: string): Promise<string | null> {
  try {
    return await readlink(path);
  } catch (error) {
    if (['ENOENT', 'EINVAL'].includes((error as NodeJS.ErrnoException).code ?? '')) return null;
    throw error;
  }
}
