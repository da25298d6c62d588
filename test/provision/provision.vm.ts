// Real machines by providers: QEMU by itself, and by libvirt. Asked for, found again by a coordinator
// that was restarted in the middle, running, ended, and nothing left.

import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { z } from 'zod';
import { systemClock } from '#shared/clock.ts';
import { Instance } from '#shared/schema/records.ts';
import { killProcess, processesUnder, processesWith } from '../../coordinator/drivers/processes.ts';
import { openStage, type Stage } from '../boot/machine-fixture.ts';
import { type Libvirtd, startLibvirtd } from './libvirtd-fixture.ts';

const BOOT_S = '550';
const LIMIT_MS = 600_000;

let stage: Stage;
let libvirtd: Libvirtd;
let libvirtDir: string;
before(
  async () => {
    libvirtDir = await mkdtemp(join(tmpdir(), 'billet-libvirtd-'));
    libvirtd = await startLibvirtd(libvirtDir);
    const providers = {
      'local-qemu': { mode: 'real', accelerator: 'tcg', machinesMax: 1 },
      libvirt: { mode: 'real', type: 'qemu', uri: libvirtd.uri },
    } as const;
    stage = await openStage({ providers });
  },
  { timeout: LIMIT_MS },
);
after(async () => {
  // Machines outlive their coordinator, also when a test has failed.
  for (const one of stage ? await processesUnder(stage.dir) : []) await killProcess(one);
  await stage?.close();
  await libvirtd?.stop();
  await rm(libvirtDir, { recursive: true, force: true });
});

const billet = (...args: readonly string[]) => stage.fleet.billet(...args);
const Items = z.array(z.object({ instance: Instance.shape.id }));

async function node(name: string): Promise<void> {
  const modules = ['--module', 'base:stable', '--module', 'web:stable'];
  await billet('node', 'create', name, ...modules, '--boot-image', 'boot:stable');
}

async function ask(name: string, ...flags: readonly string[]): Promise<Instance> {
  const [item] = Items.parse(await billet('instance', 'provision', name, ...flags));
  return await stage.fleet.instance(item?.instance ?? assert.fail('no instance'));
}

async function until(id: Instance['id'], what: string, isSo: (one: Instance) => boolean) {
  for (let tries = 0; tries < 1200; tries += 1) {
    const now = await stage.fleet.instance(id);
    if (isSo(now)) return now;
    assert.notEqual(now.state, 'failed', JSON.stringify(now));
    await delay(250);
  }
  assert.fail(`never ${what}`);
}

const uuidOf = ({ machine }: Instance) => machine?.uuid ?? assert.fail('no machine');

async function endsWithNothingLeft(one: Instance, root: string): Promise<void> {
  await billet('instance', 'terminate', one.id, '--force', '--wait');
  assert.equal((await stage.fleet.instance(one.id)).state, 'terminated');
  assert.deepEqual(await processesWith(uuidOf(one)), []);
  assert.deepEqual(await readdir(root), ['ended']);
  assert.deepEqual(await billet('provider', 'leftovers'), []);
}

test('a QEMU machine outlives its coordinator, is found again, runs, and is gone at its end', {
  timeout: LIMIT_MS,
}, async (t) => {
  await node('qemu-1');
  await node('qemu-2');
  const start = systemClock.monotonic();
  const flags = ['--provider', 'local-qemu', '--persist', '1024', '--identity', 'smbios'];
  const asked = await ask('qemu-1', ...flags);
  const made = await until(asked.id, 'made', ({ machine }) => machine?.state === 'running');
  const before = await processesWith(uuidOf(made));
  assert.equal(before.length, 1);
  await assert.rejects(ask('qemu-2', ...flags), /PROVIDER_QUOTA/);

  await stage.restart({
    whileStopped: async () => assert.deepEqual(await processesWith(uuidOf(made)), before),
  });
  await billet('instance', 'provision', 'qemu-1', ...flags).then(
    () => assert.fail('provisioned twice'),
    (error) => assert.match(String(error), /CONFLICT/),
  );
  const running = await until(made.id, 'running', ({ state }) => state === 'running');
  t.diagnostic(`provision to running: ${((systemClock.monotonic() - start) / 1000).toFixed(1)} s`);
  assert.deepEqual(await processesWith(uuidOf(made)), before, 'the same machine all the time');
  assert.equal(running.facts?.dmi.uuid?.toLowerCase(), uuidOf(made));
  assert.deepEqual(running.facts.macs, [made.machine?.mac]);
  assert.ok(running.facts.disks.some(({ serial }) => serial === 'persist'));

  const root = join(stage.dir, 'coordinator/qemu');
  const console = await readFile(join(root, made.machine?.operation ?? '', 'console.log'), 'utf8');
  assert.match(console, /BILLET_MARKER/);
  await assert.rejects(billet('instance', 'terminate', made.id), /DRAIN_REQUIRED.*web/s);
  await endsWithNothingLeft(running, root);
});

test('a libvirt domain is made, runs, and is gone at its end', { timeout: LIMIT_MS }, async (t) => {
  await node('virt-1');
  const start = systemClock.monotonic();
  const items = await billet(
    ...['instance', 'provision', 'virt-1', '--provider', 'libvirt', '--wait'],
    ...['--timeout', BOOT_S, '--memory', '2048'],
  );
  const [running] = z.array(Instance).parse(items);
  assert.ok(running);
  t.diagnostic(`provision to running: ${((systemClock.monotonic() - start) / 1000).toFixed(1)} s`);
  const name = `billet-${running.machine?.operation}`;
  assert.match(await libvirtd.virsh('domstate', name), /running/);
  const xml = await libvirtd.virsh('dumpxml', name);
  assert.match(xml, /opt\/billet\/token/);
  await endsWithNothingLeft(running, join(stage.dir, 'coordinator/libvirt'));
  assert.doesNotMatch(await libvirtd.virsh('list', '--all'), /billet-/);
});
