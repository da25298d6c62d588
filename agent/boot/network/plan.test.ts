import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { cmdlineWords } from '../../identity/cmdline.ts';
import { planNetwork } from './plan.ts';
import { networkWords } from './words.ts';

const plan = (text: string) => planNetwork(networkWords(cmdlineWords(text)));
const refused = (text: string, message: RegExp) =>
  assert.throws(() => plan(text), { code: 'BOOT_NETWORK_INVALID', message, hint: /./ }, text);

test('without words every wired link takes what its network offers', () => {
  const { by, links, everyLink, devices } = plan('quiet console=ttyS0');
  assert.deepEqual([by, links, everyLink?.methods, devices], ['default', [], ['auto'], []]);
  assert.equal(plan('billet.ntp=192.0.2.1 nameserver=192.0.2.53').by, 'default');
  assert.deepEqual(plan('ip=::::node-1::dhcp').everyLink?.hostname, 'node-1');
});

test('a static address on a VLAN over a bond needs the devices below, and no address on those', () => {
  const { bonds, vlans, links, devices, nameservers } = plan(
    'bond=bond0:eth0,eth1:mode=active-backup,miimon=100 vlan=bond0.5:bond0 ' +
      'ip=192.0.2.10::192.0.2.1:24::bond0.5:none:192.0.2.53 ip=[2001:db8::10]::[fe80::1]:64::bond0.5:none',
  );
  assert.deepEqual([bonds.length, vlans[0]?.id, devices], [1, 5, ['eth0', 'eth1']]);
  assert.equal(links.length, 1);
  assert.deepEqual(
    links[0]?.gateways.map(({ address, onLink }) => [address, onLink]),
    [
      ['192.0.2.1', false],
      ['fe80::1', false],
    ],
  );
  assert.deepEqual([links[0]?.methods, nameservers], [[], ['192.0.2.53']]);
});

test('devices on top take what is offered, or what ip= says for all', () => {
  assert.deepEqual(
    plan('vlan=vlan5:eth0').links.map((link) => [link.interface, link.methods]),
    [['vlan5', ['auto']]],
  );
  const both = plan('bond vlan=vlan5:eth2 ip=dhcp bootdev=vlan5');
  assert.deepEqual(
    both.links.map((link) => [link.interface, link.methods, link.metric]),
    [
      ['bond0', ['dhcp'], 101],
      ['vlan5', ['dhcp'], 100],
    ],
  );
});

test('routers: outside of every network is a slip, but not for a host that is a network of its own', () => {
  refused('ip=192.0.2.10::198.51.100.1:24::eth0:none', /198\.51\.100\.1 is in no network of 192/);
  refused('ip=[2001:db8::10]::[2001:db9::1]:64::eth0:none', /in no network/);
  const [link] = plan('ip=192.0.2.10::198.51.100.1:32::eth0:none').links;
  assert.deepEqual(link?.gateways, [{ address: '198.51.100.1', family: 4, onLink: true }]);
  const [peer] = plan('ip=192.0.2.10:198.51.100.1:198.51.100.1:::eth0:none').links;
  assert.equal(peer?.gateways[0]?.onLink, false);
});

test('routes go over the link that they name, or that has their router', () => {
  const two = 'ip=192.0.2.10:::24::eth0:none ip=198.51.100.10:::24::eth1:none ';
  const { links } = plan(`${two} rd.route=10.1.2.3/8:198.51.100.1 rd.route=[2001:DB8:3::/8]::eth0`);
  assert.deepEqual(links[1]?.routes[0], {
    ...{ destination: '10.0.0.0/8', family: 4, gateway: '198.51.100.1' },
  });
  assert.deepEqual(links[0]?.routes[0]?.destination, '2000::/8');
  refused(`${two} rd.route=10.0.0.0/8:203.0.113.1`, /leads over no interface/);
  refused(`${two} rd.route=10.0.0.0/8::eth7`, /leads over no interface/);
});

test('words that contradict each other are refused', () => {
  refused('ip=dhcp ip=eth0:auto6', /is for all links/);
  refused('bond=bond0:eth0,eth1 ip=eth0:dhcp', /the bond has the address/);
  refused('bond=bond0:eth0,eth1 bond=bond1:eth1,eth2', /names the device twice/);
  refused('bond=bond0:eth0,eth1:mode=1,primary=eth2', /has not the primary device/);
  refused('vlan=vlan5:eth0 bond=bond0:vlan5,eth1', /over no wired device/);
  refused('vlan=vlan5:eth0 vlan=vlan6:vlan5', /VLAN in a VLAN/);
  refused('vlan=vlan5:eth0 bond=bond0:eth0,eth1', /put it on the bond/);
  refused('vlan=vlan5:eth0 vlan=vlan5:eth1', /name of two interfaces/);
  refused('ifname=a:52:54:00:00:00:01 ifname=b:52:54:00:00:00:01', /two names/);
  refused('ip=192.0.2.10::192.0.2.1:24:::none vlan=vlan5:eth0', /leaves its interface open/);
  refused('ip=eth0:dhcp bootdev=eth1', /no ip= word/);
});

test('what is planned is what was written, for any static address', () => {
  const octet = fc.integer({ min: 1, max: 254 });
  void fc.assert(
    fc.property(octet, octet, fc.integer({ min: 8, max: 30 }), octet, (a, b, prefix, id) => {
      const address = `10.${a}.${b}.${id}`;
      const { links, devices } = plan(
        `vlan=vlan${id}:eth0 ip=${address}:::${prefix}::vlan${id}:off`,
      );
      assert.deepEqual(links[0]?.addresses, [{ address, family: 4, prefix, peer: null }]);
      assert.deepEqual([links[0]?.interface, devices], [`vlan${id}`, ['eth0']]);
    }),
    { numRuns: 100 },
  );
});
