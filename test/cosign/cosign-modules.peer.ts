// Modules that were signed without keys, by the real cosign against a small sigstore of the tests'
// own: a node's store pulls them over mTLS and runs them or not, as the trust policy says of
// identities and issuers; and finds the same again in its own files, with nobody to ask.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, type TestContext, test } from 'node:test';
import { workshop } from '../../agent/store/module-fixture.ts';
import { openStore } from '../../agent/store/open-store.ts';
import type { EnsureOptions } from '../../agent/store/store.ts';
import { copyArtifact } from '../../shared/artifact/oci/copy.ts';
import { openRegistry } from '../../shared/artifact/oci/registry.ts';
import { generateKeyPair } from '../../shared/artifact/signature/keys.ts';
import { parsePolicy } from '../../shared/artifact/signature/policy.ts';
import { temporaryDirectory } from '../../shared/artifact/signature/testing.ts';
import { systemClock } from '../../shared/clock.ts';
import type { ModuleRef } from '../../shared/schema/module.ts';
import type { TestNode } from '../coordinator/coordinator-fixture.ts';
import { passed, type Registry, refused, startRegistry } from './cosign-fixture.ts';
import { ISSUER, type Sigstore, startSigstore } from './sigstore-fixture.ts';

const PERSON = 'release@example.org';
const REPOSITORY = 'https://git.example.org/team/web/';
const WORKFLOW = `${REPOSITORY}.ci/release.yml@refs/tags/v1`;

let registry: Registry;
let ours: Sigstore;
let stranger: Sigstore;
let node: TestNode;

before(async () => {
  registry = await startRegistry();
  ours = await startSigstore(registry);
  stranger = await startSigstore(registry);
  node = await registry.fixture.node('puller');
});
after(async () => {
  await ours?.close();
  await stranger?.close();
  await registry?.close();
});

const policyOf = async (identities: readonly object[], root = ours, modules = ['*']) =>
  parsePolicy({
    format: 1,
    trustedRoot: JSON.parse(await readFile(root.trustedRoot, 'utf8')),
    rules: [{ modules, identities }],
  });
const person = { identity: PERSON, issuer: ISSUER };

/** A real module, signed by a key that no policy here names, in the coordinator's registry. */
async function pushed(t: TestContext, name: string): Promise<{ ref: ModuleRef; image: string }> {
  const { layout, make } = await workshop(t);
  const ref = await make({ name, files: { 'etc/motd': `${name}\n` } });
  const { agent, host } = target();
  const push = openRegistry({ ...common(name), dispatcher: agent });
  await copyArtifact({ source: layout, target: push, reference: name, tag: '1' });
  return { ref, image: `${host}/${name}@${ref.manifest}` };
}

const target = () => {
  const { url } = registry.fixture.coordinator;
  return { origin: url, host: new URL(url).host, agent: registry.fixture.client().agent };
};

const common = (repository: string) => ({
  origin: target().origin,
  repository,
  credentials: { kind: 'bearer', token: registry.fixture.credential } as const,
  clock: systemClock,
  random: Math.random,
  signal: AbortSignal.timeout(30_000),
});

/** What a node's store says of the module, pulled, and again from its own files. */
async function asNode(t: TestContext, ref: ModuleRef, policy: EnsureOptions['policy']) {
  const store = await openStore({ dir: join(await temporaryDirectory(t), 'store') });
  t.after(() => store.close());
  const { credentials: _, ...rest } = common(ref.repository);
  const source = openRegistry({ ...rest, dispatcher: node.agent });
  const signal = AbortSignal.timeout(30_000);
  return {
    pull: async () => (await store.ensureModule(ref, { source, policy, signal })).findings,
    load: async (under = policy) => (await store.loadModule(ref, { policy: under }))?.ref ?? null,
    held: () => store.modules(),
  };
}

for (const form of ['bundle', 'simple-signing'] as const)
  test(`a node runs a module that a person signed without a key (${form})`, async (t) => {
    const { ref, image } = await pushed(t, `keyless-${form}`);
    const policy = await policyOf([person]);
    const unsigned = await asNode(t, ref, policy);
    await assert.rejects(unsigned.pull(), { code: 'SIGNATURE_INVALID' });
    await sign(form, PERSON, image);

    const good = await asNode(t, ref, policy);
    assert.deepEqual(await good.pull(), []);
    assert.deepEqual(await good.load(), ref);
    for (const other of [
      await policyOf([{ identity: 'other@example.org', issuer: ISSUER }]),
      await policyOf([{ identity: PERSON, issuer: 'https://other.example' }]),
      await policyOf([person], stranger),
    ]) {
      assert.equal(await good.load(other), null);
      const refusing = await asNode(t, ref, other);
      await assert.rejects(refusing.pull(), { code: 'SIGNATURE_INVALID' });
      assert.deepEqual(await refusing.held(), []);
    }
    const elsewhere = await asNode(t, ref, await policyOf([person], ours, ['db']));
    await assert.rejects(elsewhere.pull(), { code: 'SIGNATURE_MISSING' });
    // Where the policy names keys alone, no identity of its root signs.
    const { publicPem } = generateKeyPair('ed25519');
    const rules = [{ modules: ['*'], keys: [publicPem] }];
    const keysOnly = await asNode(t, ref, parsePolicy({ ...policy, rules }));
    await assert.rejects(keysOnly.pull(), { code: 'SIGNATURE_INVALID' });
  });

test('an identity may end in *, and an audit says what enforce refuses', async (t) => {
  const { ref, image } = await pushed(t, 'workflow');
  await sign('bundle', WORKFLOW, image);
  const good = await asNode(
    t,
    ref,
    await policyOf([{ identity: `${REPOSITORY}*`, issuer: ISSUER }]),
  );
  assert.deepEqual(await good.pull(), []);
  const wrong = await policyOf([{ identity: `${REPOSITORY}other/*`, issuer: ISSUER }]);
  const refusing = await asNode(t, ref, wrong);
  await assert.rejects(refusing.pull(), (error: Error) => error.message.includes(WORKFLOW));
  const audit = await asNode(t, ref, { ...wrong, mode: 'audit' });
  assert.deepEqual(
    (await audit.pull()).map(({ code }) => code),
    ['SIGNATURE_INVALID'],
  );
});

test('a bundle for another module counts for nothing', async (t) => {
  const [from, to] = [await pushed(t, 'signed-one'), await pushed(t, 'unsigned-one')];
  await sign('bundle', PERSON, from.image);
  await registry.attach(to.image, join(registry.dir, 'signed-one.bundle'));
  const refusing = await asNode(t, to.ref, await policyOf([person]));
  await assert.rejects(refusing.pull(), { code: 'SIGNATURE_INVALID' });
  assert.deepEqual(await (await asNode(t, from.ref, await policyOf([person]))).pull(), []);
});

test('cosign verifies the same image and identity, and refuses the same others', async (t) => {
  const { image } = await pushed(t, 'compared');
  await sign('simple-signing', PERSON, image);
  const file = await registry.file('policy.json', JSON.stringify(await policyOf([person])));
  const wrongFile = await registry.file(
    'wrong.json',
    JSON.stringify(await policyOf([{ identity: PERSON, issuer: 'https://other.example' }])),
  );
  const billet = (policy: string) =>
    registry.billet('module', 'verify', 'compared:1', '--policy', policy, '--json');
  const cosign = (identity: string, issuer: string) =>
    registry.cosign(
      ...['verify', '--certificate-identity', identity, '--certificate-oidc-issuer', issuer],
      ...['--offline', ...registry.flags, image],
    );
  ours.use();
  passed(await cosign(PERSON, ISSUER));
  const { keyId, identity, form } = JSON.parse(passed(await billet(file)).stdout);
  assert.deepEqual([keyId, identity, form], [null, person, 'simple-signing']);
  assert.notEqual((await cosign(PERSON, 'https://other.example')).code, 0);
  assert.notEqual((await cosign('other@example.org', ISSUER)).code, 0);
  refused(await billet(wrongFile));
  stranger.use();
  assert.notEqual((await cosign(PERSON, ISSUER)).code, 0);
});

async function sign(form: 'bundle' | 'simple-signing', who: string, image: string): Promise<void> {
  ours.use();
  const as = await ours.signAs(who);
  if (form === 'simple-signing') {
    passed(await registry.cosign('sign', ...as, ...registry.flags, image));
    return;
  }
  const [repository = ''] = image.split('@');
  const name = repository.split('/').at(-1);
  const [manifest, bundle] = ['manifest', 'bundle'].map((end) =>
    join(registry.dir, `${name}.${end}`),
  );
  const ca = ['--ca-file', join(registry.dir, 'ca.pem')];
  passed(await registry.oras('manifest', 'fetch', ...ca, '--output', manifest ?? '', image));
  const how = ['--new-bundle-format', '--bundle', bundle ?? ''];
  passed(await registry.cosign('sign-blob', ...as, ...how, manifest ?? ''));
  await registry.attach(image, bundle ?? '');
}
