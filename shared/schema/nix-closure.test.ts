import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NixClosure } from './nix-closure.ts';
import { TrustPolicy } from './trust-policy.ts';

const PATH = `/nix/store/${'0'.repeat(32)}-nixos-system-web-24.11`;

test('a closure is a NixOS system in the Nix store', () => {
  assert.equal(NixClosure.parse({ storePath: PATH }).activation, 'switch');
  for (const storePath of [
    `/nix/store/${'0'.repeat(32)}-hello-2.12`,
    `/nix/store/${'e'.repeat(32)}-nixos-system-web`,
    `${PATH}/../../../etc`,
    `${PATH} --option require-sigs false`,
    `/tmp/${PATH}`,
  ])
    assert.equal(NixClosure.safeParse({ storePath }).success, false, storePath);
});

test('the address of a cache carries no settings of Nix and no password', () => {
  const accepts = (cache: string) =>
    NixClosure.safeParse({ storePath: PATH, caches: [cache] }).success;
  assert.ok(accepts('https://cache.example.org'));
  assert.ok(accepts('http://[fd00::1]:8080/site/a'));
  for (const cache of [
    'https://cache.example.org?trusted=true',
    'https://cache.example.org?local-nar-cache=/etc',
    'https://user:password@cache.example.org',
    'file:///var/cache',
    'ssh://root@cache.example.org',
    '--option',
  ])
    assert.equal(accepts(cache), false, cache);
});

test('a trust policy names keys of binary caches; one of a cache that builds anything signs no system', () => {
  const key = `cache-1:${'A'.repeat(43)}=`;
  const rules = [{ modules: ['*'], identities: [], keys: [PEM] }];
  const policy = (nixKeys: unknown) => TrustPolicy.safeParse({ format: 1, rules, nixKeys });
  assert.equal(policy(undefined).success, true);
  assert.deepEqual(policy([key]).data?.nixKeys, [{ key, systems: true }]);
  const dependency = { key, systems: false, comment: 'packages only' };
  assert.deepEqual(policy([dependency]).data?.nixKeys, [dependency]);
  for (const wrong of [[], ['cache-1'], [`${key} ${key}`], [{ key, system: true }]])
    assert.equal(policy(wrong).success, false, JSON.stringify(wrong));
});

const PEM =
  '-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n-----END PUBLIC KEY-----\n';
