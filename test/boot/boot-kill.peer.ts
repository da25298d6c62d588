// A boot in the stages of the initramfs, over a real store and real mounts, against a coordinator that
// is a process: it gets SIGKILL as each stage begins, is started again, and the boot ends as without
// it. Needs root. At each commit, and on both sides of it: test/coordinator/coordinator-kill.peer.ts.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, type TestContext, test } from 'node:test';
import { bootLog } from '../../agent/boot/boot-log.ts';
import { testMachine } from '../../agent/boot/machine-fixture.ts';
import type { BootPorts } from '../../agent/boot/ports.ts';
import { runBoot } from '../../agent/boot/run-boot.ts';
import { openUplink } from '../../agent/boot/uplink.ts';
import { ensureEnrolled } from '../../agent/identity/ensure-enrolled.ts';
import { type Workshop, workshop } from '../../agent/store/module-fixture.ts';
import type { Fleet, FleetOptions } from '../../lab/fleet.ts';
import { freePort } from '../../lab/power.ts';
import { temporaryDirectory } from '../../shared/artifact/signature/testing.ts';
import { systemClock } from '../../shared/clock.ts';
import { type MarkerRecord, parseMarker } from '../../shared/markers.ts';
import { SourceIdentity } from '../../shared/schema/identity.ts';
import { Instance } from '../../shared/schema/records.ts';
import { startProcessFleet } from './faults-fixture.ts';

const skip = process.getuid?.() === 0 ? false : 'mount(2) needs root';

let place: FleetOptions;
let fleet: Fleet;
let shop: Workshop;
let release: () => Promise<void>;
before(async () => {
  const context = {
    after: (end: () => Promise<void>) => (release = end),
  } as unknown as TestContext;
  const dir = await temporaryDirectory(context);
  const signal = AbortSignal.timeout(600_000);
  const [httpsPort, httpPort] = [await freePort(), await freePort()];
  place = { stateDir: join(dir, 'coordinator'), httpsPort, httpPort, signal };
  fleet = await startProcessFleet(place);
});
after(async () => {
  await fleet?.[Symbol.asyncDispose]();
  await release?.();
});

/** A node with a system module of a few megabytes, and who it is. */
async function makeNode(t: TestContext, name: string) {
  shop = await workshop(t);
  await shop.make({
    name: 'base',
    files: {
      ...{ 'dev/': '', 'proc/': '', 'run/': '', 'sys/': '', 'tmp/': '', 'root/': '', 'var/': '' },
      ...{ 'etc/os-release': 'ID=test\n', 'usr/lib/modules/6.12.1-test/modules.dep': '' },
      'usr/share/large': randomBytes(8 * 1024 * 1024),
    },
  });
  await fleet.billet('module', 'push', `oci:${shop.layout.dir}:base`, `base:${name}`);
  await fleet.billet('node', 'create', name, '--module', `base:${name}`);
  const { id } = Instance.parse(await fleet.billet('instance', 'create', name));
  const made = (await fleet.billet('token', 'create', id)) as Record<string, string>;
  const { secret: token, ca } = made;
  const coordinator = `https://127.0.0.1:${place.httpsPort}`;
  return { id, identity: SourceIdentity.parse({ coordinator, ca, instance: id, token }) };
}

/** Boots the machine; `onMarker` sees each line as it is printed. */
async function boot(
  t: TestContext,
  identity: SourceIdentity,
  onMarker: (marker: MarkerRecord) => void,
  signal: AbortSignal,
) {
  const machine = await testMachine(t, shop);
  const { ports } = machine;
  const { paths } = ports;
  const say = (line: string) => {
    machine.lines.push(line);
    const marker = parseMarker(line);
    if (marker !== null) onMarker(marker);
  };
  // Pauses are long enough for a process to start, and short enough for a test.
  const clock = {
    ...systemClock,
    sleep: (ms: number, end: AbortSignal) => systemClock.sleep(ms / 4, end),
  };
  const real: BootPorts = {
    ...ports,
    clock,
    random: () => 0.5,
    log: bootLog({ say, uptimeSeconds: () => 1, path: paths.markers }),
    discoverIdentity: async () => ({ identity, source: 'test' }),
    ensureEnrolled: (source, facts, deadline) =>
      ensureEnrolled({ identity: source, facts, dir: paths.state, clock: systemClock }, deadline),
    openUplink: (enrolled) =>
      openUplink(enrolled, { stateDir: paths.state, clock: systemClock, random: () => 0.5 }),
  };
  const handover = await runBoot(real, signal);
  await machine.powerOff();
  return { handover, markers: machine.markers() };
}

/** SIGKILL, and a new process over what was on disk. */
async function killed(between: () => Promise<void> = async () => undefined): Promise<void> {
  await fleet[Symbol.asyncDispose]();
  await between();
  fleet = await startProcessFleet(place);
}

for (const stage of ['boot-start', 'identity', 'enrolled', 'desired', 'pull-progress'] as const)
  test(`killed as a boot is at ${stage}, a coordinator comes back, and the boot ends`, {
    skip,
    timeout: 60_000,
  }, async (t) => {
    const { id, identity } = await makeNode(t, `killed-${stage}`);
    let death: Promise<void> | null = null;
    const { handover, markers } = await boot(
      t,
      identity,
      (marker) => {
        if (marker.stage === stage && !marker.failure) death ??= killed();
      },
      AbortSignal.timeout(50_000),
    );
    await death;
    assert.deepEqual([handover.generation, handover.offline], [1, false]);
    // Whatever went wrong was said with a code that another attempt may mend.
    for (const { failure, fields } of markers.filter((each) => each.failure))
      assert.match(
        String(failure && fields.code),
        /^(LINK_DOWN|TIMEOUT|UNAVAILABLE|REGISTRY_FAILED)$/,
      );
    const instance = await fleet.instance(id);
    assert.equal(instance.state, 'bootstrapping');
    assert.equal(instance.facts?.architecture, 'x86_64');
    const tokens = (await fleet.billet('token', 'list', '--instance', id)) as { state: string }[];
    assert.deepEqual(
      tokens.map(({ state }) => state),
      ['used'],
    );
  });

test('a coordinator that kept nothing on disk knows nobody, and that boot does not end', {
  skip,
  timeout: 60_000,
}, async (t) => {
  const { identity } = await makeNode(t, 'forgotten');
  const forget = () => rm(place.stateDir, { recursive: true });
  const given = new AbortController();
  let death: Promise<void> | null = null;
  const seen: unknown[] = [];
  const ended = boot(
    t,
    identity,
    ({ stage, failure, fields }) => {
      if (stage === 'identity') death ??= killed(forget);
      if (!failure || fields.code === 'LINK_DOWN') return;
      seen.push(fields.code);
      if (seen.length === 2) given.abort(new Error('it never ends'));
    },
    given.signal,
  );
  await assert.rejects(ended, { name: 'AbortError' });
  await death;
  assert.deepEqual(seen, ['CA_PIN_MISMATCH', 'CA_PIN_MISMATCH']);
});
