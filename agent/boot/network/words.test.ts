// Network words by the manual's own forms and examples (dracut.cmdline(7), section Network; nfsroot.rst of
// the kernel), and what is refused.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { BilletError } from '#shared/errors.ts';
import { type NetworkWords, networkWords } from './words.ts';

const one = (word: string) => networkWords([word]).ips[0];
const refused = (word: string, field: string) =>
  assert.throws(
    () => networkWords([word]),
    (error) =>
      error instanceof BilletError &&
      error.code === 'BOOT_NETWORK_INVALID' &&
      error.message.startsWith(word) &&
      error.message.includes(`no ${field}`) &&
      error.hint.length > 0,
    `${word}: ${field}`,
  );

test('ip= with a method is for all links, and with an interface for that one', () => {
  for (const [word, method] of [
    ...['dhcp', 'on', 'any', 'single-dhcp'].map((name) => [name, 'dhcp'] as const),
    ...['dhcp6', 'auto6', 'either6'].map((name) => [name, name] as const),
  ]) {
    assert.deepEqual([one(`ip=${word}`)?.interface, one(`ip=${word}`)?.method], [null, method]);
    const named = one(`ip=ens3:${word}:9000:52:54:00:12:34:56`);
    assert.deepEqual(
      [named?.interface, named?.method, named?.mtu, named?.mac],
      ['ens3', method, 9000, '52:54:00:12:34:56'],
    );
  }
  assert.equal(one('ip=ens3:dhcp::52:54:00:12:34:5F')?.mac, '52:54:00:12:34:5f');
  assert.deepEqual(one('ip=::::::dhcp'), { ...one('ip=dhcp'), word: 'ip=::::::dhcp' });
});

test('ip= with an address has its fields in the order of the manual', () => {
  const ip = one('ip=192.0.2.10::192.0.2.1:255.255.255.0:node-1:ens3:none:192.0.2.53:192.0.2.54');
  assert.deepEqual(ip?.address, { address: '192.0.2.10', family: 4, prefix: 24 });
  assert.deepEqual([ip?.gateway, ip?.hostname, ip?.interface], ['192.0.2.1', 'node-1', 'ens3']);
  assert.deepEqual([ip?.method, ip?.dns], [null, ['192.0.2.53', '192.0.2.54']]);

  const six = one('ip=[2001:DB8::1]::[fe80::1]:64::ens3:none:[2001:db8::53]');
  assert.deepEqual(six?.address, { address: '2001:DB8::1', family: 6, prefix: 64 });
  assert.deepEqual([six?.gateway, six?.dns], ['fe80::1', ['2001:db8::53']]);

  const card = one('ip=192.0.2.10::192.0.2.1:24::ens3:off:9000:52:54:00:12:34:56');
  assert.deepEqual([card?.mtu, card?.mac, card?.dns], [9000, '52:54:00:12:34:56', []]);
  const peer = one('ip=192.0.2.10:192.0.2.11:192.0.2.11:::ens3:none');
  assert.deepEqual([peer?.address?.prefix, peer?.peer?.prefix], [32, 32]);
  // nfsroot.rst: dns0, dns1, ntp0; what comes after the device may be left out.
  assert.deepEqual(one('ip=192.0.2.10:::24::ens3:off:192.0.2.53::192.0.2.123')?.ntp, [
    '192.0.2.123',
  ]);
  assert.equal(one('ip=192.0.2.10::192.0.2.1:24::ens3')?.method, null);
});

test('vlan= in its four styles, bond= with its defaults, routes, names and servers', () => {
  const words = networkWords([
    ...['vlan=vlan0005:ens3', 'vlan=vlan5:ens3', 'vlan=eth0.0005:eth0', 'vlan=eth0.5:eth0'],
    ...['bond', 'bond=bond1:ens3,ens4:mode=4,lacp_rate=fast,miimon=100:9000'],
    'bond=bond2:a,b:arp_ip_target=192.0.2.1;192.0.2.2,mode=active-backup',
    'rd.route=192.168.200.0/24:192.168.100.222:ens10',
    ...['rd.route=192.168.200.0/24:192.168.100.222', 'rd.route=192.168.200.0/24::ens10'],
    'rd.route=[2001:DB8:3::/8]:[2001:DB8:2::1]:ens10',
    ...['ifname=bootnet:52:54:00:AB:cd:01', 'nameserver=192.0.2.53', 'nameserver=[2001:db8::53]'],
    ...['bootdev=ens3', 'rd.peerdns=0', 'billet.ntp=time.example.net,[2001:db8::123],192.0.2.1'],
  ]);
  assert.deepEqual(
    words.vlans.map(({ id }) => id),
    [5, 5, 5, 5],
  );
  const [plain, lacp, arp] = words.bonds
    .toReversed()
    .toSorted((a, b) => (a.name < b.name ? -1 : 1));
  assert.deepEqual(plain, {
    ...{ name: 'bond0', slaves: ['eth0', 'eth1'], mtu: null },
    options: [{ name: 'mode', value: 'balance-rr' }],
  });
  assert.deepEqual(
    lacp?.options.map(({ name, value }) => `${name}=${value}`),
    ['mode=802.3ad', 'miimon=100', 'lacp_rate=fast'],
  );
  assert.equal(lacp?.mtu, 9000);
  assert.equal(arp?.options[0]?.name, 'mode', 'the mode is set before what depends on it');
  assert.deepEqual(
    words.routes.map((route) => [route.gateway, route.interface]),
    [
      ['192.168.100.222', 'ens10'],
      ['192.168.100.222', null],
      [null, 'ens10'],
      ['2001:DB8:2::1', 'ens10'],
    ],
  );
  assert.deepEqual(words.names, [{ name: 'bootnet', mac: '52:54:00:ab:cd:01' }]);
  assert.deepEqual(words.nameservers, ['192.0.2.53', '2001:db8::53']);
  assert.deepEqual(words.ntp, ['time.example.net', '2001:db8::123', '192.0.2.1']);
  assert.deepEqual([words.bootdev, words.peerDns], ['ens3', false]);
});

test('a word of the family that cannot be understood is refused by its name and its field', () => {
  refused('ip=dchp', 'method');
  refused('ip=ens3:dchp', 'method');
  refused('ip=none', 'method');
  refused('ip=ibft', 'method');
  refused('ip=192.0.2.10', 'method');
  refused('ip=192.0.2.300::192.0.2.1:24::ens3:none', 'client-IP');
  refused('ip=2001:db8::1::[fe80::1]:64::ens3:none', 'client-IP');
  refused('ip=192.0.2.10::192.0.2.1:33::ens3:none', 'netmask');
  refused('ip=192.0.2.10::192.0.2.1:255.0.255.0::ens3:none', 'netmask');
  refused('ip=192.0.2.10::192.0.2.1:::ens3:none', 'netmask');
  refused('ip=192.0.2.10::[fe80::1]:24::ens3:none', 'gateway');
  refused('ip=192.0.2.10::192.0.2.1:24::ens3:dhcp', 'method');
  refused('ip=192.0.2.10::192.0.2.1:24:-x:ens3:none', 'client_hostname');
  refused('ip=192.0.2.10::192.0.2.1:24::an-interface-of-more:none', 'interface');
  refused('ip=192.0.2.10::192.0.2.1:24::ens3:none:dns', 'dns');
  refused('ip=ens3:dhcp:12', 'mtu');
  refused('ip=ens3:dhcp::52:54:00:12:34', 'MAC address');
  refused('ip=ens3:dhcp::01:00:5e:00:00:01', 'MAC address');
  refused('ip=[2001:db8::1::[fe80::1]:64::ens3:none', 'address');
  refused('vlan=vlan0:ens3', 'name');
  refused('vlan=vlan4095:ens3', 'name');
  refused('vlan=storage:ens3', 'name');
  refused('vlan=vlan5', 'device');
  refused('bond=bond0:eth0,eth1:mode=fast', 'value of mode');
  refused('bond=bond0:eth0,eth1:speed=9', 'bond option');
  refused('bond=bond0:eth0,:mode=1', 'device');
  refused('bond=bond0:eth0,eth1:arp_ip_target=1.2.3', 'value of arp_ip_target');
  refused('rd.route=192.168.200.0:192.168.100.1', 'network');
  refused('rd.route=192.168.200.0/24', 'gateway');
  refused('ifname=bootnet:52:54:00', 'MAC address');
  refused('nameserver=ns.example.net', 'address');
  refused('billet.ntp=-x', 'host');
  assert.throws(() => networkWords(['team=team0:eth0']), { code: 'BOOT_NETWORK_INVALID' });
});

test('words of others are left alone', () => {
  const none: NetworkWords = {
    ...{ ips: [], vlans: [], bonds: [], names: [], routes: [], nameservers: [], bootdev: null },
    ...{ peerDns: true, ntp: [] },
  };
  const others =
    'console=ttyS0 quiet ipv6.disable=1 zip=1 bonding.max_bonds=2 rd.neednet=1 BOOTIF=x';
  assert.deepEqual(networkWords(others.split(' ')), none);
});

test('whatever stands there is understood or refused with a code, and never anything else', () => {
  const key = fc.constantFrom(
    'ip',
    'vlan',
    'bond',
    'ifname',
    'rd.route',
    'nameserver',
    'billet.ntp',
  );
  const part = fc.oneof(
    fc.constantFrom('', 'dhcp', 'none', 'eth0', '192.0.2.1', '[2001:db8::1]', '24', 'vlan5', '52'),
    fc.string({ maxLength: 8 }),
  );
  void fc.assert(
    fc.property(key, fc.array(part, { maxLength: 12 }), (name, parts) => {
      try {
        networkWords([`${name}=${parts.join(':')}`]);
      } catch (error) {
        assert.ok(error instanceof BilletError, String(error));
        assert.equal(error.code, 'BOOT_NETWORK_INVALID');
      }
    }),
    { numRuns: 500 },
  );
});
