// Nodes pull from docker-registry 2.8 with tokens: the registry names a token server (of the tests' own),
// checks the signature of each token and what it grants. Source: the distribution project's "Token
// Authentication Specification", whose steps 1 to 6 each pull here goes through.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { copyArtifact } from '../../shared/artifact/oci/copy.ts';
import { MEDIA } from '../../shared/artifact/oci/media-types.ts';
import { readBlob } from '../../shared/artifact/oci/source.ts';
import { sha256 } from '../../shared/digest.ts';
import { BilletError, type Code } from '../../shared/errors.ts';
import {
  at,
  LOGIN,
  passwordEntry,
  pullingNode,
  sealedModule,
  selfSigned,
  startDockerRegistry,
  temporaryFolder,
} from './docker-registry-fixture.ts';
import { startTokenServer } from './token-server-fixture.ts';

/** docker-registry allows this much clock skew (registry/auth/token/token.go, "Leeway"). */
const LEEWAY_SECONDS = 60;

/** A registry with a module in it, its token server, and a node that has a password for it. */
async function withTokens(t: TestContext) {
  const dir = await temporaryFolder(t);
  const tls = selfSigned(dir, 'both');
  const tokens = await startTokenServer(t, tls, LOGIN);
  const registry = await startDockerRegistry(t, { auth: tokens.config, tls });
  const { shop, ref } = await sealedModule(t);
  const target = registry.open('team/web');
  await copyArtifact({ source: shop.layout, target, reference: ref.name });
  const node = await pullingNode(t);
  await node.trust(registry.host, registry.ca);
  await node.login(registry.host, passwordEntry());
  const there = at(ref, registry.host, 'team/web');
  const pull = () => node.pull(there, shop.policy);
  const refused = async (code: Code, hint: RegExp) => {
    await assert.rejects(
      pull(),
      (error) =>
        error instanceof BilletError &&
        error.code === code &&
        hint.test(error.hint) &&
        !`${error.message}${error.hint}`.includes(LOGIN.password),
    );
    assert.deepEqual(await node.store.modules(), []);
  };
  const before = tokens.issued.length;
  return { dir, tls, tokens, registry, ref, there, node, pull, refused, before };
}

test('one token for one repository, asked for with the password, is all that a pull takes', async (t) => {
  const { tokens, pull, ref, before } = await withTokens(t);
  assert.equal((await pull()).image, ref.image);
  const asked = tokens.issued.slice(before);
  assert.deepEqual(asked, [{ user: LOGIN.username, scopes: ['repository:team/web:pull'] }]);
});

test('skopeo gets along with the same server, so it speaks what others speak', async (t) => {
  const { registry, node, ref, before, tokens } = await withTokens(t);
  const { stdout } = await promisify(execFile)('skopeo', [
    ...['list-tags', '--authfile', join(node.stateDir, 'registries/auth.json')],
    ...['--cert-dir', join(node.stateDir, 'registries/certs.d', registry.host)],
    `docker://${registry.host}/team/web`,
  ]);
  assert.deepEqual(JSON.parse(stdout).Tags, [`${ref.manifest.replace(':', '-')}.sig`]);
  assert.ok(tokens.issued.length > before);
});

test('a token that has run out is renewed between two requests, and nobody notices', async (t) => {
  const { tokens, registry, node, there } = await withTokens(t);
  const bytes = Buffer.from('one more blob');
  const blob = { mediaType: MEDIA.layerTar, digest: sha256(bytes), size: bytes.length };
  await registry.open('team/web').putBlob(blob, async function* () {
    yield bytes;
  });
  tokens.lifeSeconds = 3 - LEEWAY_SECONDS; // the registry takes it for three more seconds
  const source = node.source(there);
  /** A client that cannot renew: it was given the token itself. */
  const given = registry.open('team/web', {
    kind: 'bearer',
    token: tokens.token(['repository:team/web:pull']),
  });
  for (const each of [source, given]) assert.deepEqual(await readBlob(each, blob, 100), bytes);
  const before = tokens.issued.length;
  await sleep(4500);
  tokens.lifeSeconds = 300;
  assert.deepEqual(await readBlob(source, blob, 100), bytes);
  assert.equal(tokens.issued.length, before + 1);
  // Mutation: where nothing renews it, the same request is refused.
  await assert.rejects(
    readBlob(given, blob, 100),
    (error) => error instanceof BilletError && error.code === 'REGISTRY_DENIED',
  );
});

test('a token server that is down is named, and the pull works when it is back', async (t) => {
  const { tokens, refused, pull, ref } = await withTokens(t);
  await tokens.stop();
  const { host } = new URL((tokens.config as { token: { realm: string } }).token.realm);
  await refused('REGISTRY_FAILED', new RegExp(`token service ${host}`));
  await tokens.start();
  assert.equal((await pull()).image, ref.image);
});

test('a wrong password is refused by the token server, with a code and a hint', async (t) => {
  const { registry, node, refused, pull, ref } = await withTokens(t);
  await node.login(registry.host, passwordEntry({ ...LOGIN, password: 'wrong' }));
  await refused('REGISTRY_DENIED', /user name and password/);
  await node.login(registry.host, passwordEntry());
  assert.equal((await pull()).image, ref.image);
});

test('a token that grants less, or that another key signed, is refused by the registry', async (t) => {
  const { dir, tls, tokens, refused, pull, ref } = await withTokens(t);
  tokens.grants = (scope) => !scope.includes('team/web');
  await refused('REGISTRY_DENIED', /credentials/);
  tokens.grants = () => true;
  tokens.signer = selfSigned(dir, 'another');
  await refused('REGISTRY_DENIED', /credentials/);
  tokens.signer = tls;
  assert.equal((await pull()).image, ref.image);
});

test('nobody who has no password gets a token that grants anything', async (t) => {
  const { registry, node, refused, before, tokens } = await withTokens(t);
  await node.login('other.example', passwordEntry());
  await refused('REGISTRY_DENIED', /credentials/);
  assert.ok(tokens.issued.slice(before).every(({ user }) => user === null));
  assert.notEqual(registry.host, 'other.example');
});

test('a mount asks for both repositories, each as a scope of its own', async (t) => {
  const { registry, tokens } = await withTokens(t);
  const bytes = Buffer.from('mounted');
  const blob = { mediaType: MEDIA.layerTar, digest: sha256(bytes), size: bytes.length };
  await registry.open('from').putBlob(blob, async function* () {
    yield bytes;
  });
  const into = registry.open('into');
  await into.putBlob(blob, () => assert.fail('it has to be mounted'), { mountFrom: 'from' });
  assert.deepEqual(await readBlob(into, blob, 100), bytes);
  const both = tokens.issued.find(({ scopes }) => scopes.length === 2);
  assert.deepEqual(both?.scopes.map((scope) => scope.split(':')[1]).sort(), ['from', 'into']);
});
