import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BilletError } from '../../errors.ts';
import type { TrustPolicy } from '../../schema/trust-policy.ts';
import { TrustedRoot } from '../../schema/trusted-root.ts';
import { generateKeyPair } from './keys.ts';
import { isIdentity, parsePolicy, trustFor } from './policy.ts';

const PEM = generateKeyPair('ed25519').publicPem;

const ROOT = TrustedRoot.parse({
  mediaType: 'application/vnd.dev.sigstore.trustedroot+json;version=0.1',
});

test('the most specific pattern wins', () => {
  const rule = (pattern: string, pem: string) => ({
    modules: [pattern],
    keys: [{ pem }],
    identities: [],
  });
  const policy: TrustPolicy = {
    format: 1,
    mode: 'enforce',
    rules: [rule('*', 'A'), rule('web-*', 'B'), rule('web-a', 'C')],
  };
  const keyOf = (name: string) => trustFor(policy, name)?.keys;
  assert.deepEqual([keyOf('web-a'), keyOf('web-b'), keyOf('db')], [['C'], ['B'], ['A']]);
});

test('a trusted identity is that one, or what begins like it before its *; the issuer is the same', () => {
  const issuer = 'https://one';
  const accepted = (identity: string, by = issuer) =>
    ['https://host/', 'https://host/a', 'https://host/ab', 'https://hosta', 'a@host'].filter(
      (who) => isIdentity({ identity, issuer }, { identity: who, issuer: by }),
    );
  assert.deepEqual(accepted('a@host'), ['a@host']);
  assert.deepEqual(accepted('https://host/a'), ['https://host/a']);
  assert.deepEqual(accepted('https://host/a*'), ['https://host/a', 'https://host/ab']);
  assert.deepEqual(accepted('https://host/*'), [
    'https://host/',
    'https://host/a',
    'https://host/ab',
  ]);
  assert.deepEqual(accepted('https://host/*', 'https://two'), []);
});

test('an identity is a person or a start of a URI with its host, of one issuer and a trusted root', () => {
  const parse = (identity: string, issuer = 'https://one', trustedRoot: unknown = ROOT) =>
    parsePolicy({
      format: 1,
      trustedRoot,
      rules: [{ modules: ['*'], identities: [{ identity, issuer }] }],
    });
  for (const good of ['a@host', 'https://host/a', 'https://host/*', 'spiffe://domain/x*'])
    assert.equal(trustFor(parse(good), 'web')?.identities[0]?.identity, good);
  for (const bad of ['*', 'a*', 'https://host*', 'https://*', 'https://*/a', '*@host', 'a b', ''])
    assert.throws(() => parse(bad), { code: 'POLICY_INVALID' }, bad);
  for (const issuer of ['https://one*', 'one', ''])
    assert.throws(() => parse('a@host', issuer), { code: 'POLICY_INVALID' }, issuer);
  for (const root of [null, {}, { ...ROOT, tlogs: [{}] }, { mediaType: 'text/plain' }])
    assert.throws(() => parse('a@host', 'https://one', root), { code: 'POLICY_INVALID' });
});

test('an unknown mode, an empty policy, an unknown field and a private key are POLICY_INVALID', () => {
  const rules = [{ modules: ['*'], keys: [PEM] }];
  parsePolicy({ format: 1, rules });
  const privatePem = generateKeyPair('p256').privatePem;
  for (const bad of [
    { format: 1, mode: 'permissive', rules },
    { format: 1, rules: [] },
    { format: 1, rules: [{ modules: [], keys: [PEM] }] },
    { format: 1, rules: [{ modules: ['*'], keys: [] }] },
    { format: 1, rules, keys: [] },
    { format: 1, rules: [{ modules: ['*'], keys: [privatePem] }] },
    { format: 2, rules },
    {},
    null,
  ])
    assert.throws(
      () => parsePolicy(bad),
      (error) => error instanceof BilletError && error.code === 'POLICY_INVALID',
    );
});
