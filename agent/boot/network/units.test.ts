// What systemd-networkd is given, by the keys of systemd.netdev(5) and systemd.network(5).

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cmdlineWords } from '../../identity/cmdline.ts';
import { planNetwork } from './plan.ts';
import { networkUnits } from './units.ts';
import { networkWords } from './words.ts';

const WIRED = [
  { name: 'eth0', mac: '52:54:00:00:00:01' },
  { name: 'eth1', mac: '52:54:00:00:00:02' },
];

function units(text: string, up: readonly string[] = []): Record<string, string> {
  const plan = planNetwork(networkWords(cmdlineWords(text)));
  const addresses = up.map((name) => ({ interface: name }));
  return Object.fromEntries(
    networkUnits({ plan, wired: WIRED, addresses }).map((file) => [
      file.path.replace('/etc/systemd/network/10-billet-', ''),
      'content' in file ? file.content : '',
    ]),
  );
}

test('a VLAN over a bond is made again, device by device, and cards go by what they were made with', () => {
  const files = units(
    'bond=bond0:eth0,eth1:mode=active-backup,miimon=100,primary=eth1:9000 vlan=vlan5:bond0 ' +
      'ip=192.0.2.10::192.0.2.1:24::vlan5:none rd.route=198.51.100.0/24:192.0.2.2',
  );
  assert.deepEqual(Object.keys(files).sort(), [
    ...['bond0.netdev', 'bond0.network', 'eth0.network', 'eth1.network'],
    ...['vlan5.netdev', 'vlan5.network'],
  ]);
  assert.equal(
    files['bond0.netdev'],
    '[NetDev]\nName=bond0\nKind=bond\nMTUBytes=9000\n\n[Bond]\nMode=active-backup\nMIIMonitorSec=100ms\n',
  );
  assert.equal(
    files['eth1.network'],
    '[Match]\nPermanentMACAddress=52:54:00:00:00:02\nType=ether\nKind=!*\n\n' +
      '[Network]\nBond=bond0\nPrimarySlave=yes\nLinkLocalAddressing=no\nIPv6AcceptRA=no\n',
  );
  assert.match(files['bond0.network'] ?? '', /Name=bond0[\s\S]*VLAN=vlan5\nLinkLocalAddressing=no/);
  assert.equal(files['vlan5.netdev'], '[NetDev]\nName=vlan5\nKind=vlan\n\n[VLAN]\nId=5\n');
  assert.equal(
    files['vlan5.network'],
    '[Match]\nName=vlan5\n\n[Network]\nDHCP=no\nKeepConfiguration=static\n\n' +
      '[Address]\nAddress=192.0.2.10/24\n\n[Route]\nGateway=192.0.2.1\nMetric=101\n\n' +
      '[Route]\nDestination=198.51.100.0/24\nGateway=192.0.2.2\n',
  );
});

test('a card with a VLAN and an address of its own has one file for both', () => {
  const { 'eth0.network': file = '' } = units('vlan=eth0.5:eth0 ip=eth0:dhcp:9000 ip=eth0.5:auto6');
  assert.match(file, /\[Link\]\nMTUBytes=9000\n\n\[Network\]\nVLAN=eth0\.5\nDHCP=ipv4\n/);
  assert.match(file, /\[DHCPv4\]\nClientIdentifier=mac\nRouteMetric=101\n$/);
});

test('without words the lease of each link that has one goes on, and other links are left alone', () => {
  const files = units('quiet', ['eth1']);
  assert.deepEqual(Object.keys(files), ['525400000002.network']);
  assert.match(
    Object.values(files)[0] ?? '',
    /PermanentMACAddress=52:54:00:00:00:02\n[\s\S]*DHCP=ipv4\nKeepConfiguration=dhcp\n[\s\S]*ClientIdentifier=mac/,
  );
  assert.match(
    Object.values(units('ip=dhcp6', ['eth0']))[0] ?? '',
    /DHCP=ipv6[\s\S]*WithoutRA=solicit/,
  );
});

test('of several links with a lease the default route of bootdev wins', () => {
  const files = Object.values(units('ip=dhcp bootdev=eth1', ['eth0', 'eth1']));
  assert.deepEqual(
    files.map((file) => /RouteMetric=(\d+)/.exec(file)?.[1]),
    ['101', '100'],
  );
});

test('a router outside of the network is said to be on the link', () => {
  const { 'eth0.network': file = '' } = units('ip=192.0.2.10::198.51.100.1:32::eth0:none');
  assert.match(file, /\[Route\]\nGateway=198\.51\.100\.1\nGatewayOnLink=yes\n/);
});
