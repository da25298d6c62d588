// Applies the settings of a node to its running system: host name, time zone, DNS, break-glass keys.
// Writes only what differs; what a setting leaves out is left as the system image has it.

import { mkdir, readlink, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Settings } from '#shared/schema/settings.ts';
import type { NodeSettings } from '../reconcile/ports.ts';
import { readFileOrNull, writeFileAtomic } from './files.ts';

export interface NodeSettingsOptions {
  /** Stands before every path; `/` but in tests. */
  readonly root?: string;
}

export function hostNodeSettings({ root = '/' }: NodeSettingsOptions = {}): NodeSettings {
  const at = (path: string) => join(root, path);

  async function replace(path: string, text: string, mode: number): Promise<void> {
    if ((await readFileOrNull(path))?.toString('utf8') === text) return;
    await writeFileAtomic(path, text, { mode });
  }

  async function hostname(name: string): Promise<void> {
    await replace(at('/etc/hostname'), `${name}\n`, 0o644);
    await replace(at('/etc/hosts'), hosts(name), 0o644);
    const kernel = at('/proc/sys/kernel/hostname');
    const current = (await readFileOrNull(kernel))?.toString('utf8').trim();
    if (current !== name) await writeFile(kernel, name);
  }

  async function timezone(name: string): Promise<void> {
    const target = `/usr/share/zoneinfo/${name}`;
    const link = at('/etc/localtime');
    if ((await readlinkOrNull(link)) === target) return;
    await rm(`${link}.billet`, { force: true });
    await symlink(target, `${link}.billet`);
    await rename(`${link}.billet`, link);
  }

  async function keys(lines: readonly string[]): Promise<void> {
    await mkdir(at('/root/.ssh'), { recursive: true, mode: 0o700 });
    await replace(
      at('/root/.ssh/authorized_keys'),
      lines.map((line) => `${line}\n`).join(''),
      0o600,
    );
  }

  return {
    async apply(settings: Settings) {
      if (settings.hostname !== undefined) await hostname(settings.hostname);
      if (settings.timezone !== undefined) await timezone(settings.timezone);
      if (settings.dns !== undefined)
        await replace(
          at('/etc/resolv.conf'),
          settings.dns.map((server) => `nameserver ${server}\n`).join(''),
          0o644,
        );
      if (settings.sshKeys !== undefined) await keys(settings.sshKeys);
    },
  };
}

const hosts = (name: string): string =>
  `127.0.0.1 localhost\n127.0.1.1 ${name}\n::1 localhost ip6-localhost\n`;

async function readlinkOrNull(path: string): Promise<string | null> {
  try {
    return await readlink(path);
  } catch (error) {
    if (['ENOENT', 'EINVAL'].includes((error as NodeJS.ErrnoException).code ?? '')) return null;
    throw error;
  }
}
