import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseLease } from '../boot/network/lease.ts';
import { parseInet6 } from './network-addresses.ts';

test('addresses of the kernel’s list: what reaches further than the link, runs out, or is taken', () => {
  const text =
    '00000000000000000000000000000001 01 80 10 80       lo\n' +
    'fe80000000000000505400fffe000001 02 40 20 c0     eth0\n' +
    '20010db8000000000000000000000010 02 40 00 80 bond0.5\n' +
    '20010db80000000050540000fe000001 02 40 00 00     eth0\n' +
    '20010db8000000000000000000000011 02 40 00 c8     eth0\n';
  const short = parseInet6(text).map((each) => [
    `${each.interface} ${each.address}/${each.prefix}`,
    each.isGlobal,
    each.isDynamic,
    each.isTentative,
    each.isDuplicate,
  ]);
  assert.deepEqual(short, [
    ['lo ::1/128', false, false, false, false],
    ['eth0 fe80::5054:ff:fe00:1/64', false, false, true, false],
    ['bond0.5 2001:db8::10/64', true, false, false, false],
    ['eth0 2001:db8::5054:0:fe00:1/64', true, true, false, false],
    ['eth0 2001:db8::11/64', true, false, false, true],
  ]);
});

test('of what a server says only addresses and domains count', () => {
  const lease = parseLease(
    'ip=192.0.2.100\nmask=24\nrouter=nowhere 192.0.2.1\nipv6=\ndns=192.0.2.53 $(reboot)\n' +
      'domain=example.net;reboot\nntpsrv=192.0.2.123 time\nlease=3600\n',
  );
  assert.deepEqual(lease, {
    address: { address: '192.0.2.100', family: 4, prefix: 24 },
    ...{ router: '192.0.2.1', dns: ['192.0.2.53'], domain: null, ntp: ['192.0.2.123'] },
    seconds: 3600,
  });
  assert.equal(parseLease('').address, null);
});
