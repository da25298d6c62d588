// The domain of a machine as libvirt reads it (libvirt.org/formatdomain.html). Pure. Every value is
// escaped; secrets stand in files, never in the domain.

import { BilletError } from '#shared/errors.ts';
import type { MachinePlan } from './hypervisor.ts';

export type LibvirtNetwork =
  /** QEMU's user network: no bridge, no privileges; the host is 10.0.2.2. */
  { readonly kind: 'user' } | { readonly kind: 'network' | 'bridge'; readonly name: string };

export interface LibvirtOptions {
  /** kvm, or qemu where there is none. */
  readonly type: 'kvm' | 'qemu';
  readonly network: LibvirtNetwork;
}

export const domainName = (operation: string): string => `billet-${operation}`;

/** ARGUMENT_INVALID for what XML 1.0 cannot carry, and for SMBIOS identity, which libvirt shows. */
export function domainXml(plan: MachinePlan, { type, network }: LibvirtOptions): string {
  const { start } = plan;
  if (start.kind === 'direct' && start.oemStringPaths.length > 0) throw noSmbios();
  const direct = start.kind === 'direct' ? start : null;
  return lines([
    `<domain type="${type}">`,
    `  <name>${xml(domainName(plan.operation))}</name>`,
    `  <uuid>${xml(plan.uuid)}</uuid>`,
    `  <title>${xml(plan.title)}</title>`,
    `  <memory unit="MiB">${plan.memoryMib}</memory>`,
    `  <vcpu>${plan.cpuCount}</vcpu>`,
    ...(direct ? fwCfg(direct.fwCfg) : []),
    '  <os>',
    '    <type arch="x86_64" machine="q35">hvm</type>',
    ...(direct
      ? [
          `    <kernel>${xml(direct.kernel)}</kernel>`,
          `    <initrd>${xml(direct.initramfs)}</initrd>`,
          `    <cmdline>${xml(direct.commandLine)}</cmdline>`,
        ]
      : ['    <boot dev="network"/>']),
    '  </os>',
    '  <features><acpi/></features>',
    ...(type === 'kvm' ? ['  <cpu mode="host-passthrough"/>'] : ['  <cpu mode="maximum"/>']),
    '  <on_poweroff>destroy</on_poweroff>',
    '  <on_reboot>restart</on_reboot>',
    '  <on_crash>restart</on_crash>',
    '  <devices>',
    ...plan.disks.flatMap(({ path, serial }, at) => [
      '    <disk type="file" device="disk">',
      '      <driver name="qemu" type="raw" discard="unmap"/>',
      `      <source file="${xml(path)}"/>`,
      `      <target dev="vd${String.fromCharCode(97 + at)}" bus="virtio"/>`,
      `      <serial>${xml(serial)}</serial>`,
      '    </disk>',
    ]),
    ...interfaceOf(network, plan.mac),
    '    <serial type="file">',
    `      <source path="${xml(plan.console)}" append="on"/>`,
    '      <target port="0"/>',
    '    </serial>',
    '    <rng model="virtio"><backend model="random">/dev/urandom</backend></rng>',
    '  </devices>',
    '</domain>',
  ]);
}

/** QEMU docs/specs/fw_cfg.rst: what users add stands under opt/. */
const fwCfg = (files: readonly { readonly name: string; readonly path: string }[]) =>
  files.length === 0
    ? []
    : [
        '  <sysinfo type="fwcfg">',
        ...files.map(
          ({ name, path }) => `    <entry name="${xml(`opt/${name}`)}" file="${xml(path)}"/>`,
        ),
        '  </sysinfo>',
      ];

function interfaceOf(network: LibvirtNetwork, mac: string): readonly string[] {
  const source =
    network.kind === 'user' ? [] : [`      <source ${network.kind}="${xml(network.name)}"/>`];
  return [
    `    <interface type="${network.kind}">`,
    `      <mac address="${xml(mac)}"/>`,
    ...source,
    '      <model type="virtio"/>',
    '    </interface>',
  ];
}

const ESCAPES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&apos;',
};

/** XML 1.0 §2.2: no control characters, and none of ours is wanted in a name or path either. */
function xml(text: string): string {
  if (/^[^\p{Cc}\p{Cs}\uFFFE\uFFFF]*$/u.test(text))
    return text.replace(/[&<>"']/g, (one) => ESCAPES[one] ?? one);
  throw new BilletError('ARGUMENT_INVALID', `XML cannot carry ${JSON.stringify(text)}`, {
    hint: 'take control characters out of the path or command line',
  });
}

const noSmbios = () =>
  new BilletError('ARGUMENT_INVALID', 'libvirt would show SMBIOS identity in the domain', {
    hint: 'use identity: fw_cfg in the instance type; it is read from files',
  });

const lines = (all: readonly string[]) => `${all.join('\n')}\n`;
