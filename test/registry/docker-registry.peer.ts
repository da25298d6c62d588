// Nodes pull from docker-registry 2.8 with the agent's own code, over TLS and a password (htpasswd).
// That registry lists no referrers: signatures are found under cosign's `.sig` tag and under the tag that
// stands in for the list (distribution-spec v1.1, "Referrers Tag Schema").

import assert from 'node:assert/strict';
import { execFile, execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chmod, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { promisify } from 'node:util';
import { openSession } from '../../agent/link/session.ts';
import { copyArtifact } from '../../shared/artifact/oci/copy.ts';
import { MEDIA } from '../../shared/artifact/oci/media-types.ts';
import { generateKeyPair, readSigningKey } from '../../shared/artifact/signature/keys.ts';
import { signModule } from '../../shared/artifact/signature/sign.ts';
import { sha256 } from '../../shared/digest.ts';
import { BilletError, type Code } from '../../shared/errors.ts';
import { ModuleRef } from '../../shared/schema/module.ts';
import { TrustPolicy } from '../../shared/schema/trust-policy.ts';
import { startFixture } from '../coordinator/coordinator-fixture.ts';
import {
  at,
  htpasswd,
  LOGIN,
  type PullingNode,
  passwordEntry,
  pullingNode,
  sealedModule,
  selfSigned,
  startDockerRegistry,
  temporaryFolder,
} from './docker-registry-fixture.ts';

async function withPassword(t: TestContext) {
  const dir = await temporaryFolder(t);
  htpasswd(join(dir, 'htpasswd'));
  return await startDockerRegistry(t, {
    auth: { htpasswd: { realm: 'test', path: join(dir, 'htpasswd') } },
    tls: selfSigned(dir, 'registry'),
  });
}

const coded = (code: Code, hint: RegExp) => (error: unknown) =>
  error instanceof BilletError &&
  error.code === code &&
  hint.test(error.hint) &&
  !`${error.message}${error.hint}${JSON.stringify(error.details)}`.includes(LOGIN.password);

/** Refused, and nothing of it is on the node. */
async function refused(
  node: PullingNode,
  pull: Promise<unknown>,
  code: Code,
  hint: RegExp,
): Promise<void> {
  await assert.rejects(pull, coded(code, hint));
  assert.deepEqual(await node.store.modules(), []);
}

test('a module and its .sig tag are pushed, found and pulled with a password', async (t) => {
  const registry = await withPassword(t);
  const { shop, ref } = await sealedModule(t);
  await copyArtifact({
    source: shop.layout,
    target: registry.open('team/web'),
    reference: ref.name,
  });
  const node = await pullingNode(t);
  await node.trust(registry.host, registry.ca);
  await node.login(registry.host, passwordEntry());
  const pulled = await node.pull(at(ref, registry.host, 'team/web'), shop.policy);
  assert.equal(pulled.image, ref.image);
  await refusedElsewhere(t, registry, ref, shop.foreignPolicy);
});

async function refusedElsewhere(
  t: TestContext,
  registry: Awaited<ReturnType<typeof withPassword>>,
  ref: ModuleRef,
  policy: TrustPolicy,
) {
  const node = await pullingNode(t);
  await node.trust(registry.host, registry.ca);
  await node.login(`${registry.host}/team`, passwordEntry());
  const pull = node.pull(at(ref, registry.host, 'team/web'), policy);
  await refused(node, pull, 'SIGNATURE_INVALID', /./);
}

test('a bundle is found by the tag that stands in for the referrers', async (t) => {
  const registry = await withPassword(t);
  const { shop, ref } = await sealedModule(t);
  const keys = generateKeyPair('p256');
  const policy = TrustPolicy.parse({
    format: 1,
    rules: [{ modules: ['*'], keys: [keys.publicPem] }],
  });
  const target = registry.open('web');
  await copyArtifact({ source: shop.layout, target, reference: ref.name, tag: 'v1' });
  await signModule(target, ref.manifest, readSigningKey(keys.privatePem), 'test/web', ['bundle']);
  const node = await pullingNode(t);
  await node.trust(registry.host, registry.ca);
  await node.login(registry.host, passwordEntry());
  const fallback = ref.manifest.replace(':', '-');
  assert.ok((await target.tags()).includes(fallback));
  assert.equal((await target.referrers(ref.manifest)).length, 1);
  const pulled = await node.pull(at(ref, registry.host, 'web'), policy);
  assert.equal(pulled.image, ref.image);
  // Mutation: without that tag the same pull finds no signature.
  const empty = { schemaVersion: 2, mediaType: MEDIA.index, manifests: [] };
  await target.putManifest(Buffer.from(JSON.stringify(empty)), MEDIA.index, fallback);
  const other = await pullingNode(t);
  await other.trust(registry.host, registry.ca);
  await other.login(registry.host, passwordEntry());
  await refused(other, other.pull(at(ref, registry.host, 'web'), policy), 'SIGNATURE_INVALID', /./);
});

test('what skopeo pushes there a node pulls, logged in by the file that skopeo wrote', async (t) => {
  const registry = await withPassword(t);
  const { shop, ref } = await sealedModule(t);
  const node = await pullingNode(t);
  await node.trust(registry.host, registry.ca);
  const certificates = join(node.stateDir, 'registries/certs.d', registry.host);
  const authFile = join(node.stateDir, 'registries/auth.json');
  const skopeo = (args: readonly string[], input = '') =>
    execFileSync('skopeo', args, { input, stdio: 'pipe', timeout: 60_000 });
  const login = ['login', '--authfile', authFile, '--cert-dir', certificates];
  skopeo([...login, '-u', LOGIN.username, '--password-stdin', registry.host], LOGIN.password);
  const signature = `${ref.manifest.replace(':', '-')}.sig`;
  const push = (tag: string) =>
    skopeo([
      ...['--insecure-policy', 'copy', '--preserve-digests', '--dest-authfile', authFile],
      ...['--dest-cert-dir', certificates, `oci:${shop.layout.dir}:${tag}`],
      `docker://${registry.host}/by-skopeo:${tag}`,
    ]);
  const there = at(ref, registry.host, 'by-skopeo');
  push(ref.name);
  await refused(node, node.pull(there, shop.policy), 'SIGNATURE_MISSING', /./);
  push(signature);
  const pulled = await node.pull(there, shop.policy);
  assert.equal(pulled.image, ref.image);
});

test('no password, a wrong one, a file that others read: a code and a hint; a right one counts at once', async (t) => {
  const registry = await withPassword(t);
  const { shop, ref } = await sealedModule(t);
  await copyArtifact({ source: shop.layout, target: registry.open('web'), reference: ref.name });
  const node = await pullingNode(t);
  const there = at(ref, registry.host, 'web');
  const pull = async () => await node.pull(there, shop.policy);
  await refused(node, pull(), 'REGISTRY_FAILED', /CA of the registry/);
  await node.trust(registry.host, registry.ca);
  await refused(node, pull(), 'REGISTRY_DENIED', /credentials/);
  await node.login(registry.host, passwordEntry({ ...LOGIN, password: 'wrong' }));
  await refused(node, pull(), 'REGISTRY_DENIED', /credentials/);
  await node.login('other.example', passwordEntry());
  await refused(node, pull(), 'REGISTRY_DENIED', /credentials/);
  await node.login(registry.host, passwordEntry());
  const authFile = join(node.stateDir, 'registries/auth.json');
  await chmod(authFile, 0o644);
  await refused(node, pull(), 'CONFIG_INVALID', /chmod 600/);
  await chmod(authFile, 0o600);
  assert.equal((await pull()).image, ref.image);
});

test('blobs go up in parts and by mounting, and come down by ranges', async (t) => {
  const registry = await withPassword(t);
  const bytes = randomBytes(2_500_000);
  const layer = { mediaType: MEDIA.layerTar, digest: sha256(bytes), size: bytes.length };
  const content = async function* () {
    yield bytes;
  };
  const inParts = registry.open('parts', LOGIN, 1_000_000);
  await inParts.putBlob(layer, content);
  const refuseToRead = () => assert.fail('it has to be mounted');
  await registry.open('mounted').putBlob(layer, refuseToRead, { mountFrom: 'parts' });
  const chunks: Uint8Array[] = [];
  for await (const chunk of registry.open('mounted').blob(layer)) chunks.push(chunk);
  assert.deepEqual(Buffer.concat(chunks), bytes);
});

test("from the coordinator's own registry a node pulls with its certificate, and without one not", async (t) => {
  const fixture = await startFixture();
  t.after(() => fixture.close());
  const { shop, ref } = await sealedModule(t);
  const dir = await temporaryFolder(t);
  await writeFile(join(dir, 'ca.crt'), fixture.ca);
  const { host } = new URL(fixture.coordinator.url);
  // Not in sync: the coordinator is in this process.
  for (const tag of [ref.name, `${ref.manifest.replace(':', '-')}.sig`])
    await promisify(execFile)('skopeo', [
      ...['--insecure-policy', 'copy', '--preserve-digests', '--dest-cert-dir', dir],
      ...['--dest-creds', `admin:${fixture.credential}`, `oci:${shop.layout.dir}:${tag}`],
      `docker://${host}/modules/web:${tag}`,
    ]);
  const { certificate, key } = await fixture.node('puller');
  const coordinator = fixture.coordinator.url;
  const own = ModuleRef.parse({ ...ref, repository: 'modules/web' });
  const sessionOf = (client?: { certificate: string; key: string }) => {
    const session = openSession({ coordinator, ca: fixture.ca, ...(client ? { client } : {}) });
    t.after(() => session.close());
    return () => session;
  };
  const stranger = await pullingNode(t, sessionOf());
  await refused(stranger, stranger.pull(own, shop.policy), 'REGISTRY_DENIED', /./);
  const node = await pullingNode(t, sessionOf({ certificate, key: key.pem }));
  assert.equal((await node.pull(own, shop.policy)).image, ref.image);
});
