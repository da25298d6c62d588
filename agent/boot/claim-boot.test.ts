// A boot of a machine that nobody registered, and of one whose source of identity is silent: over a real
// store and real mounts, with a coordinator that is played. Needs root.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BilletError } from '#shared/errors.ts';
import type { Facts } from '#shared/schema/facts.ts';
import { Identity, type SourceIdentity } from '#shared/schema/identity.ts';
import type { Enrolled } from '../identity/ensure-enrolled.ts';
import { workshop } from '../store/module-fixture.ts';
import { desiredOf, documentOf, testMachine } from './machine-fixture.ts';
import type { BootPorts } from './ports.ts';
import { runBoot } from './run-boot.ts';

const signal = new AbortController().signal;
const skip = process.getuid?.() === 0 ? false : 'mount(2) needs root';

const IDENTITY = Identity.parse({
  coordinator: 'https://127.0.0.1:1',
  ca: `sha256:${'a'.repeat(64)}`,
  instance: 'i-0123456789abcdef',
});
const { instance, ...SOURCE } = IDENTITY;
const CLOUD = { provider: 'ec2', instance: 'i-1234567890abcdef0' } as const;
const enrolled = (how: Enrolled['how']) =>
  ({ how, credentials: { identity: IDENTITY } }) as Enrolled;

const FILES = {
  ...{ 'dev/': '', 'proc/': '', 'run/': '', 'sys/': '', 'tmp/': '', 'root/': '', 'var/': '' },
  'etc/os-release': 'ID=test\n',
  'usr/lib/modules/6.12.1-test/modules.dep': '',
};

test('a machine without an instance gets one by its claim, and boots as it', {
  skip,
}, async (t) => {
  const shop = await workshop(t);
  const machine = await testMachine(t, shop);
  const base = await shop.make({ name: 'base', files: FILES });
  machine.answer = () => documentOf(desiredOf(1, [base]));
  const asked: { source: SourceIdentity; facts: Facts }[] = [];
  const ports: BootPorts = {
    ...machine.ports,
    discoverIdentity: async () => ({ identity: SOURCE, source: 'ec2', cloud: CLOUD }),
    ensureEnrolled: async (source, facts) => {
      asked.push({ source, facts });
      machine.ports.log.marker('claim', { code: '7K3M-Q2XT' });
      // Nobody has come for longer than any other stage may take.
      await machine.ports.clock.sleep(90_000, signal);
      return enrolled('claimed');
    },
  };
  const handover = await runBoot(ports, signal);
  assert.deepEqual([handover.identity, handover.cloud], [IDENTITY, CLOUD]);
  assert.deepEqual([asked.length, asked[0]?.source, asked[0]?.facts.cloud], [1, SOURCE, CLOUD]);
  const stages = machine.markers().map(({ stage, fields }) => `${stage} ${fields.how ?? ''}`);
  assert.ok(stages.indexOf('claim ') < stages.indexOf('enrolled claimed'));
  assert.deepEqual(
    machine.markers().filter(({ failure }) => failure),
    [],
  );
  await machine.powerOff();
});

test('a silent source stops no machine that knows who it was; one that does not waits', {
  skip,
}, async (t) => {
  const shop = await workshop(t);
  const machine = await testMachine(t, shop);
  const base = await shop.make({ name: 'base', files: FILES });
  machine.answer = () => documentOf(desiredOf(1, [base]));
  let tries = 0;
  const ports: BootPorts = {
    ...machine.ports,
    discoverIdentity: async () => {
      throw new BilletError('METADATA_FAILED', 'no answer', { hint: 'none' });
    },
    // Nothing survives until the second try.
    keptIdentity: async () => (tries++ === 0 ? null : IDENTITY),
    ensureEnrolled: async () => enrolled('survived'),
  };
  const handover = await runBoot(ports, signal);
  assert.equal(handover.identity.instance, instance);
  const lines = machine.markers().filter(({ stage }) => stage === 'identity');
  assert.deepEqual(
    lines.map(({ failure, fields }) => (failure ? fields.code : fields.source)),
    ['METADATA_FAILED', 'kept'],
  );
  await machine.powerOff();
});
