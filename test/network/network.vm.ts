// One machine whose network is described by its kernel command line alone: a bond of two cards, a VLAN on it
// with static addresses of both families, a time server behind that, and the coordinator over a third card.
// At the other end of the bond a router of the test sees each frame. The words hold in the initramfs, and in
// the system that comes after it.

import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { after, before, test } from 'node:test';
import { systemClock } from '#shared/clock.ts';
import {
  createNode,
  type LabNode,
  shellOf,
  switchOn,
  tokenIdentity,
  untilInstance,
} from '../../lab/node.ts';
import { BOOT_MS, type PoweredMachine } from '../../lab/power.ts';
import { openStage, type Stage } from '../boot/machine-fixture.ts';
import { type Router, startRouter } from './ethernet-fixture.ts';

const CARDS = ['52:54:00:b1:22:01', '52:54:00:b1:22:02'];
const STATIC = [
  `ifname=left:${CARDS[0]} ifname=right:${CARDS[1]}`,
  'bond=bond0:left,right:mode=active-backup,miimon=100,primary=left vlan=bond0.5:bond0',
  'ip=192.0.2.10::192.0.2.1:24::bond0.5:none ip=[2001:db8:5::10]::[2001:db8:5::1]:64::bond0.5:none',
  'ip=uplink:dhcp bootdev=uplink billet.ntp=192.0.2.1',
].join(' ');

let stage: Stage;
let router: Router;
let node: LabNode;
let machine: PoweredMachine;

before(
  async () => {
    stage = await openStage();
    router = await startRouter({
      ...{ cables: 2, vlan: 5 },
      ipv4: Buffer.from([192, 0, 2, 1]),
      ipv6: Buffer.from('20010db8000500000000000000000001', 'hex'),
      time: () => ({ unixMs: systemClock.now() }),
    });
    node = await createNode(stage.fleet, 'wired-1', ['base:stable']);
  },
  { timeout: 600_000 },
);
after(async () => {
  await stage?.close();
  await router?.[Symbol.asyncDispose]();
});

async function freeUdpPort(): Promise<number> {
  const socket = createSocket('udp4');
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  const { port } = socket.address();
  socket.close();
  await once(socket, 'close');
  return port;
}

test('a machine with a clock of 2020 joins over what its command line describes', {
  timeout: BOOT_MS + 30_000,
}, async (t) => {
  const cables = [];
  for (const [at, peerPort] of router.ports.entries())
    cables.push({ mac: CARDS[at] ?? '', port: await freeUdpPort(), peerPort });
  machine = stage.keep(
    await switchOn(stage.fleet, stage.artifacts, node, {
      ...{ boot: 'direct', dir: stage.dir, signal: stage.signal },
      identity: await tokenIdentity(stage.fleet, node),
      parts: { cables, clock: '2020-01-01T00:00:00' },
      words: `ifname=uplink:${node.mac} ${STATIC}`,
    }),
  );
  await machine.waitFor('switch-root', { timeoutMs: BOOT_MS });
  const times = machine.sightings.map(
    ({ marker, atSeconds }) => `${marker.stage} ${atSeconds.toFixed(1)}`,
  );
  t.diagnostic(`seconds: ${times.join(', ')}`);
  const markers = machine.sightings.map(({ marker }) => marker);
  const failures = markers.filter((marker) => marker.failure);
  assert.deepEqual(failures, []);
  const up = markers.filter(({ stage: name }) => name === 'network-up').map(({ fields }) => fields);
  assert.deepEqual(
    up.map(({ interface: name, address, plan }) => `${name} ${address} ${plan}`).sort(),
    ['bond0.5 192.0.2.10/24 words', 'bond0.5 2001:db8:5::10/64 words', 'uplink 10.0.2.15/24 words'],
  );
  const clocks = markers.filter(({ stage: name }) => name === 'clock').map(({ fields }) => fields);
  assert.deepEqual(
    clocks.map(({ by }) => by),
    ['boot-image', 'ntp'],
  );
  assert.equal(clocks[1]?.server, '192.0.2.1');
  assert.match(clocks[0]?.from ?? '', /^2020-01-01/);

  const kinds = new Set(router.seen.map((line) => line.split(' ')[0]));
  for (const kind of ['arp', 'ndp', 'ntp'])
    assert.ok(router.seen.includes(`${kind} vlan=5 cable=0`), [...kinds].join());
  assert.deepEqual(
    router.seen.filter((line) => /^(arp|ntp) vlan=0/.test(line)),
    [],
    'nothing of it goes without its tag',
  );
});

test('the system that comes after has the same network, and makes it again', {
  timeout: BOOT_MS,
}, async () => {
  await untilInstance(
    stage.fleet,
    node,
    'running',
    ({ state, heartbeat }) => state === 'running' && heartbeat?.phase === 'ready',
    BOOT_MS - 10_000,
  );
  const shell = await shellOf(machine);
  try {
    const reaches = async () => {
      await shell.run('ip neigh flush dev bond0.5');
      for (const to of ['192.0.2.1', '2001:db8:5::1'])
        await shell.run(`bash -c 'echo > /dev/udp/${to}/9'`);
      await shell.run('sleep 1');
      return await shell.must('ip neigh show dev bond0.5');
    };
    /** networkd may still wait for udev when the agent is ready. */
    const untilTrue = async (condition: string) =>
      await shell.must(
        `for i in $(seq 150); do ${condition} && break; sleep 0.2; done; ${condition}`,
      );
    const both =
      /192\.0\.2\.1 lladdr 02:00:00:00:b1:11[\s\S]*2001:db8:5::1 lladdr 02:00:00:00:b1:11/;
    await untilTrue("networkctl list --no-legend | grep -Eq 'bond0[.]5 +vlan +[^ ]+ +configured'");
    assert.match((await reaches()).split('\n').sort().join('\n'), both);
    assert.match(await shell.must('cat /sys/class/net/bond0/bonding/mode'), /active-backup/);

    // A VLAN that is gone is made again from what the boot has left.
    await shell.must('ip link delete bond0.5 && systemctl restart systemd-networkd');
    await untilTrue('ip -4 address show bond0.5 2>/dev/null | grep -q 192.0.2.10/24');
    await untilTrue("networkctl list --no-legend | grep -Eq 'bond0[.]5 +vlan +[^ ]+ +configured'");
    await shell.must('ip -d link show bond0.5 | grep -q "id 5"');
    assert.match((await reaches()).split('\n').sort().join('\n'), both);

    // And a bond with one card less goes on over the other one.
    await shell.must('ip link set left down && sleep 1');
    assert.match((await reaches()).split('\n').sort().join('\n'), both);
    assert.ok(router.seen.includes('arp vlan=5 cable=1'));
  } finally {
    shell.close();
  }
});
