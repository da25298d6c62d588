// A machine with a TPM that boots from its own encrypted disk: installed from an ISO, back from a boot image
// that panics, updated into its other boot slot, and back from a power cut with a damaged slot and another
// TPM, without medium and coordinator.

import assert from 'node:assert/strict';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { z } from 'zod';
import type { MarkerRecord } from '#shared/markers.ts';
import { generateRecoveryKeyPair } from '#shared/recovery/key-pair.ts';
import { normalizeRecoveryKey } from '#shared/recovery/recovery-key.ts';
import type { Instance } from '#shared/schema/records.ts';
import { CHASSIS_WORDS, type Chassis } from '../../lab/chassis.ts';
import { shellOf } from '../../lab/node.ts';
import { BOOT_MS, type PoweredMachine } from '../../lab/power.ts';
import { openRack, type Rack } from '../../lab/rack.ts';
import { openStage, type Stage } from '../boot/machine-fixture.ts';
import { tearBootImage } from './torn-slot-fixture.ts';

const NODE = 'vault-1';
const DISK = 'the-vault';
const GIB = 2 ** 30;
const OPERATOR = generateRecoveryKeyPair();

let stage: Stage;
let rack: Rack;
let chassis: Chassis;
let machine: PoweredMachine;
let recoveryKey: string;

before(
  async () => {
    stage = await openStage();
    const { fleet, artifacts, dir, signal } = stage;
    const documents = join(dir, 'documents');
    await mkdir(documents);
    await writeFile(join(documents, 'fleet.yaml'), yaml(DOCUMENTS));
    rack = await openRack({ fleet, artifacts, dir, documents, nodes: [NODE], signal });
    chassis = await rack.place({
      ...{ name: NODE, uuid: '7e0f3a52-8a3e-4d4b-9a70-0d1f0b1150a4', mac: '52:54:00:b1:52:01' },
      ...{ disks: { [DISK]: 6 * GIB }, tpm: true },
    });
  },
  { timeout: 900_000 },
);

after(() => stage?.close());

/** JSON is YAML (yaml.org/spec/1.2.2, §1.3). */
const yaml = (documents: readonly object[]) =>
  documents.map((each) => JSON.stringify(each)).join('\n---\n');
const spec = (kind: string, name: string, rest: object) => ({ kind, name, spec: rest });
const PUBLICATION = { platform: 'metal', status: 'published' };
const DOCUMENTS = [
  spec('Architecture', 'amd64', { machine: 'x86_64', oci: 'amd64' }),
  spec('Platform', 'metal', { architecture: 'amd64' }),
  spec('Publication', 'metal-1', { ...PUBLICATION, boot: 'metal:stable' }),
  spec('Template', 'plain', { platform: 'metal', modules: ['base:stable'] }),
  spec('Class', 'vault', {
    template: 'plain',
    install: {
      profile: 'single-disk-encrypted',
      disk: { serial: DISK },
      recoveryRecipient: OPERATOR.publicPem,
    },
  }),
  spec('Pool', 'vault', { class: 'vault' }),
  spec('Node', NODE, { pool: 'vault', macs: ['52:54:00:b1:52:01'] }),
];

const stageIs =
  (stage: string, fields: Record<string, string>) =>
  (marker: MarkerRecord): boolean =>
    !marker.failure &&
    marker.stage === stage &&
    Object.entries(fields).every(([key, value]) => marker.fields[key] === value);
const failures = (from = 0) => machine.sightings.slice(from).filter(({ marker }) => marker.failure);
const note = (text: string) => process.stderr.write(`# ${text}\n`);
const isGood = ({ state, heartbeat, confirmed, generation }: Instance) =>
  state === 'running' && heartbeat?.phase === 'ready' && confirmed === generation;

test('it installs itself, encrypted, and comes up from slot a: unlocked by the TPM, with a second copy in slot b', {
  timeout: 2 * BOOT_MS,
}, async () => {
  machine = stage.keep(await chassis.powerOn({ medium: { cdrom: rack.iso } }));
  const installed = await machine.waitFor('installed', { timeoutMs: BOOT_MS });
  note(`installed after ${installed.atSeconds.toFixed(0)} s`);
  const slot = await machine.waitFor('boot-slot', { timeoutMs: BOOT_MS });
  assert.equal(slot.marker.fields.slot, 'a');
  const store = await machine.waitFor(stageIs('store-ready', { data: 'persist' }), {
    timeoutMs: BOOT_MS,
  });
  assert.equal(store.marker.fields.device, '/dev/mapper/billet-persist');
  const ready = await machine.waitFor('ready', { timeoutMs: BOOT_MS });
  note(`slot a after ${slot.atSeconds.toFixed(0)} s, ready after ${ready.atSeconds.toFixed(0)} s`);
  await machine.waitFor(stageIs('slot-good', { slot: 'a' }), { timeoutMs: BOOT_MS });
  await machine.waitFor(stageIs('slot-written', { slot: 'b', copy: 'true' }), {
    timeoutMs: BOOT_MS,
  });
  const { heartbeat } = await rack.until(NODE, 'running', isGood, 120_000);
  assert.equal(heartbeat?.slot?.name, 'a');
  assert.deepEqual(failures(), []);
});

test('its recovery key is at the coordinator, sealed, and opens for the operator alone', async () => {
  const path = join(stage.dir, 'operator.key');
  await writeFile(path, OPERATOR.privatePem, { mode: 0o600 });
  const shown = await stage.fleet.billet('instance', 'recovery-key', NODE, '--key', path);
  const { key } = z.object({ key: z.string() }).parse(shown);
  assert.equal(normalizeRecoveryKey(key), key);
  recoveryKey = key;
});

/** Another boot image, by its kernel parameters: built, signed, published, in slot b, and started. */
async function takeUp(tag: string, sequence: number, parameters: string) {
  const { fleet, artifacts, dir } = stage;
  const boot = join(dir, tag);
  const baked = ['--policy', artifacts.keys.policy, '--name', 'metal'];
  const words = ['--command-line', `${CHASSIS_WORDS} ${parameters}`, '--no-iso'];
  await fleet.billet(
    ...['image', 'build', '--out', boot, '--sequence', String(sequence)],
    ...[...baked, ...words],
  );
  await fleet.billet('image', 'push', boot, `metal:${tag}`);
  await fleet.billet('image', 'sign', `metal:${tag}`, '--key', artifacts.keys.privateKey);
  const documents = join(dir, `${tag}.yaml`);
  const next = [spec('Publication', `metal-${tag}`, { ...PUBLICATION, boot: `metal:${tag}` })];
  await writeFile(documents, yaml(next));
  const from = machine.sightings.length;
  await fleet.billet('apply', '-f', documents, '--set', tag);
  const { marker } = await machine.waitFor(
    (marker) => stageIs('slot-written', { slot: 'b' })(marker) && marker.fields.copy === undefined,
    { timeoutMs: BOOT_MS, from },
  );
  await rack.until(
    NODE,
    'staged',
    ({ heartbeat, generation }) => heartbeat?.staged === generation,
    120_000,
  );
  await fleet.billet('task', 'create', 'reboot', NODE, '--reason', 'the other boot image');
  return { from, generation: marker.fields.generation };
}

test('a boot image that panics is started three times, then given up for the one before', {
  timeout: 2 * BOOT_MS,
}, async () => {
  const { from, generation } = await takeUp('panics', 2, 'rdinit=/nowhere panic=1');
  const slot = await machine.waitFor('boot-slot', { timeoutMs: BOOT_MS, from });
  assert.deepEqual([slot.marker.fields.slot, slot.marker.fields.good], ['a', 'true']);
  const console = await readFile(join(rack.dirOf(NODE), 'console-1.log'), 'latin1');
  assert.equal(console.match(/Kernel panic - not syncing/g)?.length, 3);
  const { rejected } = await rack.until(
    NODE,
    'running, with the generation rejected',
    (now) => now.rejected.length > 0 && now.heartbeat?.phase === 'ready',
    BOOT_MS,
  );
  assert.equal(String(rejected[0]?.generation), generation);
  assert.match(rejected[0]?.reason ?? '', /did not come up/);
});

test('another boot image is written to slot b before it is staged, and is good once it has come up', {
  timeout: 2 * BOOT_MS,
}, async () => {
  const { from, generation } = await takeUp('next', 3, 'billet.update=3');
  const slot = await machine.waitFor('boot-slot', { timeoutMs: BOOT_MS, from });
  assert.deepEqual([slot.marker.fields.slot, slot.marker.fields.good], ['b', 'false']);
  assert.equal(slot.marker.fields.entry, `billet-000000000${generation}+2-1.efi`);
  await machine.waitFor(stageIs('slot-good', { slot: 'b' }), { timeoutMs: BOOT_MS, from });
  const shell = await shellOf(machine);
  assert.match(await shell.must('cat /proc/cmdline'), /billet\.update=3/);
  shell.close();
  await rack.until(
    NODE,
    'running from slot b',
    (now) => isGood(now) && now.heartbeat?.slot?.name === 'b',
    120_000,
  );
  assert.deepEqual(failures(from), []);
});

test('with slot b torn, its TPM lost, no medium and no coordinator, it comes up by its recovery key', {
  timeout: BOOT_MS + 120_000,
}, async () => {
  await machine.machine.cut();
  await tearBootImage(chassis.disk(DISK), 'billet-boot');
  await rm(join(rack.dirOf(NODE), 'tpm'), { recursive: true });
  await stage.restart({ whileStopped: comesUpAlone });
});

/** What the console says about the data disk, while it asks for a key. */
const asksFor =
  (code: string) =>
  ({ failure, stage, fields }: MarkerRecord) =>
    failure && stage === 'store-ready' && fields.code === code;

/** As a person does: after having read what the console says. */
async function type(line: string): Promise<void> {
  await delay(2000);
  machine.machine.write(`${line}\n`);
}

async function comesUpAlone(): Promise<void> {
  machine = stage.keep(await chassis.powerOn());
  await machine.waitFor(asksFor('PERSIST_LOCKED'), { timeoutMs: BOOT_MS });
  await type('let me in');
  await machine.waitFor(asksFor('RECOVERY_KEY_INVALID'), { timeoutMs: BOOT_MS });
  await type(recoveryKey);
  const slot = await machine.waitFor('boot-slot', { timeoutMs: BOOT_MS });
  assert.deepEqual([slot.marker.fields.slot, slot.marker.fields.good], ['a', 'true']);
  const ready = await machine.waitFor('ready', { timeoutMs: BOOT_MS });
  note(
    `alone: slot a after ${slot.atSeconds.toFixed(0)} s, ready after ${ready.atSeconds.toFixed(0)} s`,
  );
  const enrolled = machine.sightings.find(({ marker }) => marker.stage === 'enrolled');
  assert.ok(['survived', 'offline'].includes(enrolled?.marker.fields.how ?? ''));
  const shell = await shellOf(machine);
  const deadline = AbortSignal.timeout(120_000);
  for (let status = ''; !status.includes('BOOT_SLOT_CORRUPT'); ) {
    deadline.throwIfAborted();
    status = await shell.must('/usr/lib/billet/node /usr/lib/billet/agent.mjs status --json');
  }
  shell.close();
  assert.ok(!machine.console().includes(recoveryKey), 'what is typed is not shown');
}
