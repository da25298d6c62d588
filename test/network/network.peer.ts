// The network of a boot against real peers: dnsmasq for DHCP (RFC 2131, RFC 2132 §8.3), DHCPv6 (RFC 8415)
// and router advertisements (RFC 4861), the kernel for everything else. Each test is a cable of its own.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { bootPrograms, type Cable, cable, dnsmasq, type Outcome } from './network-fixture.ts';

const skip = process.getuid?.() === 0 ? false : 'network namespaces need root';
let programs: Awaited<ReturnType<typeof bootPrograms>>;
before(async () => {
  if (skip === false) programs = await bootPrograms();
});
after(() => programs?.remove());

const cidrs = ({ up }: Outcome) => up?.addresses.map(({ cidr }) => cidr);
const four = (net: Cable) => net.there('ip', 'address', 'add', '192.0.2.1/24', 'dev', 'srv0');
const six = (net: Cable) => net.there('ip', 'address', 'add', '2001:db8::1/64', 'dev', 'srv0');
const DHCP = [
  ...['--dhcp-range=192.0.2.100,192.0.2.100,1h', '--dhcp-option=option:router,192.0.2.1'],
  ...['--dhcp-option=option:dns-server,192.0.2.53', '--dhcp-option=option:ntp-server,192.0.2.123'],
];

describe('the network of a boot', { concurrency: 4, skip }, () => {
  test('without words DHCP gives address, router, name and time servers', async (t) => {
    const net = await cable(t, programs.dir);
    four(net);
    await net.serve(dnsmasq(...DHCP, '--domain=example.net'));
    const outcome = await net.boot('quiet billet.ntp=192.0.2.9');
    assert.deepEqual(cidrs(outcome), ['192.0.2.100/24'], JSON.stringify(outcome));
    assert.deepEqual(outcome.up?.dns, ['192.0.2.53']);
    assert.deepEqual(outcome.up?.ntp, ['192.0.2.9', '192.0.2.123'], 'words before option 42');
    assert.match(outcome.routes ?? '', /default via 192\.0\.2\.1 dev eth0/);
    assert.deepEqual([outcome.up?.plan, outcome.same, outcome.failures], ['default', true, []]);
    const [file] = outcome.files ?? [];
    assert.match(
      file && 'content' in file ? file.content : '',
      /DHCP=ipv4[\s\S]*ClientIdentifier=mac/,
    );
  });

  test('without DHCP an address by router advertisement counts', async (t) => {
    const net = await cable(t, programs.dir);
    six(net);
    const range = '--dhcp-range=2001:db8::,ra-stateless,64,1h';
    await net.serve(
      dnsmasq(range, '--enable-ra', '--dhcp-option=option6:dns-server,[2001:db8::53]'),
    );
    const outcome = await net.boot('quiet');
    assert.match(cidrs(outcome)?.[0] ?? '', /^2001:db8::.*\/64$/, JSON.stringify(outcome));
    assert.deepEqual(
      outcome.up?.dns,
      ['2001:db8::53'],
      `by stateless DHCPv6: ${JSON.stringify(outcome)}`,
    );
    // busybox lists no route that an advertisement made.
    assert.match(net.here('ip', '-6', 'route'), /default via fe80::\S+ dev eth0 proto ra/);
  });

  test('static addresses of both families, with routers, routes and name servers', async (t) => {
    const net = await cable(t, programs.dir);
    four(net);
    six(net);
    const outcome = await net.boot(
      'ip=192.0.2.10::192.0.2.1:255.255.255.0:node-1:eth0:none:192.0.2.53 ' +
        'ip=[2001:db8::10]::[2001:db8::1]:64::eth0:none rd.route=198.51.100.0/24:192.0.2.2',
    );
    assert.deepEqual(cidrs(outcome), ['192.0.2.10/24', '2001:db8::10/64'], JSON.stringify(outcome));
    assert.deepEqual([outcome.up?.dns, outcome.up?.plan], [['192.0.2.53'], 'words']);
    assert.match(outcome.routes ?? '', /default via 192\.0\.2\.1 dev eth0/);
    assert.match(outcome.routes ?? '', /198\.51\.100\.0\/24 via 192\.0\.2\.2/);
    assert.match(outcome.routes ?? '', /default via 2001:db8::1 dev eth0/);
    assert.deepEqual([outcome.failures, outcome.same], [[], true]);
    for (const [ping, to] of [
      ['ping', '192.0.2.1'],
      ['ping6', '2001:db8::1'],
    ] as const)
      net.here(`${programs.dir}/bin/${ping}`, '-c', '1', '-W', '2', to);
  });

  test('a router in no network of the address is reached directly where the host is its own', async (t) => {
    const net = await cable(t, programs.dir);
    net.there('ip', 'address', 'add', '198.51.100.1/32', 'dev', 'srv0');
    net.there('ip', 'route', 'add', '192.0.2.10/32', 'dev', 'srv0');
    const outcome = await net.boot('ip=192.0.2.10::198.51.100.1:32::eth0:none');
    assert.match(
      outcome.routes ?? '',
      /default via 198\.51\.100\.1 dev eth0/,
      JSON.stringify(outcome),
    );
    assert.deepEqual(outcome.failures, []);
  });

  test('a router that nobody is, is named; the address stands', async (t) => {
    const net = await cable(t, programs.dir);
    four(net);
    const outcome = await net.boot('ip=192.0.2.10::192.0.2.254:24::eth0:none');
    assert.deepEqual(cidrs(outcome), ['192.0.2.10/24'], JSON.stringify(outcome));
    assert.deepEqual(outcome.failures, [
      'LINK_DOWN: the router 192.0.2.254 does not answer on eth0',
    ]);
  });

  test('words that cannot be understood give way to DHCP, and are named', async (t) => {
    const net = await cable(t, programs.dir);
    four(net);
    await net.serve(dnsmasq(...DHCP));
    const outcome = await net.boot('ip=192.0.2.10::192.0.2.1:244::eth0:none');
    assert.deepEqual([cidrs(outcome), outcome.up?.plan], [['192.0.2.100/24'], 'fallback']);
    assert.match(outcome.failures[0] ?? '', /^BOOT_NETWORK_INVALID: ip=.*"244" is no netmask/);
    const [file] = outcome.files ?? [];
    assert.match(file && 'content' in file ? file.content : '', /DHCP=ipv4/);
  });

  test('a VLAN on a card that is not there gives way to DHCP; the cards that are, are listed', async (t) => {
    const net = await cable(t, programs.dir);
    four(net);
    await net.serve(dnsmasq(...DHCP));
    const outcome = await net.boot('vlan=vlan5:eth9 ip=192.0.2.10::192.0.2.1:24::vlan5:none');
    assert.deepEqual([cidrs(outcome), outcome.up?.plan], [['192.0.2.100/24'], 'fallback']);
    assert.match(outcome.failures[0] ?? '', /names eth9; this machine has eth0 \([0-9a-f:]{17}\)/);
  });

  test('a cable that is not in says so, and changes nothing for another attempt', async (t) => {
    const net = await cable(t, programs.dir);
    net.there('ip', 'link', 'set', 'srv0', 'down');
    const line = 'ip=192.0.2.10::192.0.2.1:24::eth0:none';
    const outcome = await net.boot(line);
    assert.equal(outcome.error?.code, 'LINK_DOWN');
    assert.match(outcome.error?.message ?? '', /eth0 has no carrier/);
    assert.match(outcome.error?.hint ?? '', /cable/);
    net.there('ip', 'link', 'set', 'srv0', 'up');
    four(net);
    assert.deepEqual(cidrs(await net.boot(line)), ['192.0.2.10/24']);
  });

  test('DHCPv6 gives an address and name servers', async (t) => {
    const net = await cable(t, programs.dir);
    six(net);
    const range = '--dhcp-range=2001:db8::100,2001:db8::100,64,1h';
    await net.serve(
      dnsmasq(range, '--enable-ra', '--dhcp-option=option6:dns-server,[2001:db8::53]'),
    );
    const outcome = await net.boot('ip=eth0:dhcp6');
    assert.deepEqual(cidrs(outcome), ['2001:db8::100/128'], JSON.stringify(outcome));
    assert.deepEqual(outcome.up?.dns, ['2001:db8::53']);
  });

  test('an address that another machine has is refused by its name', async (t) => {
    const net = await cable(t, programs.dir);
    six(net);
    const outcome = await net.boot('ip=[2001:db8::1]:::64::eth0:none');
    assert.equal(outcome.error?.code, 'LINK_DOWN', JSON.stringify(outcome));
    assert.match(
      outcome.error?.message ?? '',
      /another machine on eth0 has the address 2001:db8::1/,
    );
  });

  test('a card gets the name that its address is given, and its files go by the address', async (t) => {
    const net = await cable(t, programs.dir);
    four(net);
    const [, mac = ''] = /ether (\S+)/.exec(net.here('ip', 'link', 'show', 'eth0')) ?? [];
    const outcome = await net.boot(
      `ifname=bootnet:${mac.toUpperCase()} ip=192.0.2.10::192.0.2.1:24::bootnet:none:1400`,
    );
    assert.deepEqual(outcome.up?.addresses[0]?.interface, 'bootnet', JSON.stringify(outcome));
    assert.match(net.here('ip', 'link', 'show', 'bootnet'), /mtu 1400/);
    const [file] = outcome.files ?? [];
    const content = file && 'content' in file ? file.content : '';
    assert.match(content, new RegExp(`PermanentMACAddress=${mac}[\\s\\S]*Address=192.0.2.10/24`));
  });
});
