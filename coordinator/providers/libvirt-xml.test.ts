// Domains as libvirt.org/formatdomain.html describes them; "fwcfg" is its section "SMBIOS System
// Information", type fwcfg.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { machineNames, newOperationKey } from '../ids.ts';
import type { MachinePlan } from './hypervisor.ts';
import { domainName, domainXml, type LibvirtOptions } from './libvirt-xml.ts';

const operation = newOperationKey();
const plan: MachinePlan = {
  ...{ operation, title: 'web-1 <&"', ...machineNames(operation), cpuCount: 2, memoryMib: 512 },
  ...{ dir: '/m', console: '/m/console.log', disks: [{ path: '/m/a&b.img', serial: 'data' }] },
  start: {
    kind: 'direct',
    kernel: '/m/kernel',
    initramfs: '/m/initramfs',
    commandLine: `a="b" 'c' <d>`,
    fwCfg: [{ name: 'billet/token', path: '/m/identity/token' }],
    oemStringPaths: [],
  },
};
const options: LibvirtOptions = { type: 'qemu', network: { kind: 'user' } };

test('every value is escaped, and the token is read from a file', () => {
  const xml = domainXml(plan, options);
  assert.match(xml, new RegExp(`<name>${domainName(operation)}</name>`));
  assert.match(xml, /<title>web-1 &lt;&amp;&quot;<\/title>/);
  assert.match(xml, /<source file="\/m\/a&amp;b\.img"\/>/);
  assert.match(xml, /<cmdline>a=&quot;b&quot; &apos;c&apos; &lt;d&gt;<\/cmdline>/);
  assert.match(xml, /<entry name="opt\/billet\/token" file="\/m\/identity\/token"\/>/);
  assert.match(xml, /<serial>data<\/serial>/);
});

test('a machine of the network boots from it first, and hangs on the bridge that is named', () => {
  const start = { kind: 'network', url: 'http://10.0.2.2/boot.ipxe' } as const;
  const xml = domainXml(
    { ...plan, start },
    { ...options, network: { kind: 'bridge', name: 'br0' } },
  );
  assert.match(xml, /<boot dev="network"\/>/);
  assert.match(xml, /<interface type="bridge">\n.*\n {6}<source bridge="br0"\/>/);
  assert.doesNotMatch(xml, /<kernel>|sysinfo/);
});

test('what XML cannot carry, and identity that libvirt would show, are refused', () => {
  const bad = { ...plan, title: 'a\u0007b' };
  assert.throws(() => domainXml(bad, options), { code: 'ARGUMENT_INVALID', hint: /control/ });
  assert.ok(plan.start.kind === 'direct');
  const start = { ...plan.start, oemStringPaths: ['/m/oem'] };
  assert.throws(() => domainXml({ ...plan, start }, options), {
    code: 'ARGUMENT_INVALID',
    hint: /fw_cfg/,
  });
});
