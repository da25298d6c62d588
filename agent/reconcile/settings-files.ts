// Settings of a node as files: the same at boot and on the running system. Pure: returns what to
// write, and writes nothing.

import type { Settings } from '#shared/schema/settings.ts';

/** By its absolute path in the root of the node. */
export type SettingsFile =
  | { readonly path: string; readonly content: string; readonly mode: number }
  | { readonly path: string; readonly linkTo: string };

/** A setting that is left out has no file. */
export function settingsFiles({ hostname, timezone, dns, sshKeys }: Settings): SettingsFile[] {
  const files: SettingsFile[] = [];
  if (hostname !== undefined)
    files.push(
      { path: '/etc/hostname', content: `${hostname}\n`, mode: 0o644 },
      {
        path: '/etc/hosts',
        content: `127.0.0.1 localhost\n127.0.1.1 ${hostname}\n::1 localhost ip6-localhost\n`,
        mode: 0o644,
      },
    );
  if (timezone !== undefined)
    files.push({ path: '/etc/localtime', linkTo: `/usr/share/zoneinfo/${timezone}` });
  if (dns !== undefined)
    files.push({
      path: '/etc/resolv.conf',
      content: dns.map((server) => `nameserver ${server}\n`).join(''),
      mode: 0o644,
    });
  if (sshKeys !== undefined)
    files.push({
      path: '/root/.ssh/authorized_keys',
      content: sshKeys.map((key) => `${key}\n`).join(''),
      mode: 0o600,
    });
  return files;
}
