// Settings of a node as files of its root. Pure: returns what to write, and writes nothing.

import { sha256 } from '#shared/digest.ts';
import { BilletError } from '#shared/errors.ts';
import type { Desired } from '#shared/schema/desired.ts';
import type { ModuleLabel } from '#shared/schema/module.ts';
import { assertSettings } from '../reconcile/module-settings.ts';

export type RenderedFile =
  | { readonly path: string; readonly content: string; readonly mode: number }
  | { readonly path: string; readonly linkTo: string };

export interface RenderRequest {
  readonly desired: Desired;
  /** MAC addresses of the links that DHCP configured. */
  readonly macs: readonly string[];
  /** Name servers that DHCP gave. */
  readonly dns: readonly string[];
}

/** Files by their absolute paths in the new root. */
export function renderRoot({ desired, macs, dns }: RenderRequest): RenderedFile[] {
  const { settings, instance, node } = desired;
  const hostname = settings.hostname ?? node;
  const servers = settings.dns ?? dns;
  const file = (path: string, content: string, mode = 0o644) => ({ path, content, mode });
  return [
    file('/etc/hostname', `${hostname}\n`),
    file('/etc/hosts', `127.0.0.1 localhost\n127.0.1.1 ${hostname}\n::1 localhost ip6-localhost\n`),
    // machine-id(5): the same in each boot of one instance, another one in its next life.
    file('/etc/machine-id', `${sha256(`billet machine-id ${instance}`).slice(7, 39)}\n`, 0o444),
    ...(settings.timezone === undefined
      ? []
      : [{ path: '/etc/localtime', linkTo: `/usr/share/zoneinfo/${settings.timezone}` }]),
    ...(servers.length === 0
      ? []
      : [file('/etc/resolv.conf', servers.map((each) => `nameserver ${each}\n`).join(''))]),
    ...(settings.sshKeys === undefined
      ? []
      : [
          file(
            '/root/.ssh/authorized_keys',
            settings.sshKeys.map((key) => `${key}\n`).join(''),
            0o600,
          ),
        ]),
    ...macs.map((mac) =>
      file(`/etc/systemd/network/10-billet-${mac.replaceAll(':', '')}.network`, networkd(mac)),
    ),
  ];
}

/** systemd.network(5): goes on with the lease that the boot got, under the same client identifier. */
function networkd(mac: string): string {
  return `[Match]
MACAddress=${mac}

[Network]
DHCP=ipv4
KeepConfiguration=dhcp

[DHCPv4]
ClientIdentifier=mac
`;
}

/**
 * The settings of the system modules, checked against the schemas that their signed labels declare.
 * A service module's are checked when it is attached. Throws CONFIG_INVALID, also for settings of a
 * module that is not part of the node.
 */
export function moduleSettings(
  desired: Desired,
  labels: readonly ModuleLabel[],
): ReadonlyMap<string, unknown> {
  const checked = new Map<string, unknown>();
  for (const [name, values] of Object.entries(desired.settings.modules ?? {})) {
    const label = labels.find((each) => each.name === name);
    if (label !== undefined) {
      assertSettings(label, values);
      checked.set(name, values);
    } else if (!desired.modules.some((ref) => ref.name === name))
      throw new BilletError('CONFIG_INVALID', `settings of ${name}, which is not on the node`, {
        hint: `remove settings.modules.${name} of the node, or add the module`,
      });
  }
  return checked;
}
