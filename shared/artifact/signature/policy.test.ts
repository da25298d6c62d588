import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { BilletError } from '../../errors.ts';
import type { TrustPolicy } from '../../schema/trust-policy.ts';
import { TrustedRoot } from '../../schema/trusted-root.ts';
import { generateKeyPair } from './keys.ts';
import { isIdentity, parsePolicy, type Trust, tighten, trustFor } from './policy.ts';

const KEYS = ['A', 'B', 'C'];
const PEM = generateKeyPair('ed25519').publicPem;
const PATTERNS = ['*', 'web-*', 'web-a*', 'web-a', 'web-b', 'db'];
const NAMES = ['web-a', 'web-b', 'web-ab', 'web-c', 'db', 'base'];
const MODES = ['off', 'audit', 'enforce'] as const;

/** Whom a certificate may name. */
const PEOPLE = ['https://host/', 'https://host/a', 'https://host/ab', 'https://hosta', 'a@host'];
const ROOT = TrustedRoot.parse({
  mediaType: 'application/vnd.dev.sigstore.trustedroot+json;version=0.1',
});
const LOG = { baseUrl: '', publicKey: { rawBytes: '', keyDetails: '' }, logId: { keyId: '' } };

const policies: fc.Arbitrary<TrustPolicy> = fc.record({
  format: fc.constant(1 as const),
  mode: fc.constantFrom(...MODES),
  rules: fc.array(
    fc.record({
      modules: fc.uniqueArray(fc.constantFrom(...PATTERNS), { minLength: 1 }),
      keys: fc
        .uniqueArray(fc.constantFrom(...KEYS), { minLength: 1 })
        .map((pems) => pems.map((pem) => ({ pem }))),
      identities: fc.uniqueArray(
        fc.record({
          identity: fc.constantFrom(
            'https://host/*',
            'https://host/a*',
            'https://host/a',
            'a@host',
          ),
          issuer: fc.constantFrom('https://one', 'https://two'),
        }),
        { maxLength: 3 },
      ),
      minimumSequence: fc.nat(9),
    }),
    { minLength: 1, maxLength: 5 },
  ),
  trustedRoot: fc.constantFrom(ROOT, { ...ROOT, tlogs: [LOG] }),
});

test('what a tightened policy accepts, both policies accept', () => {
  void fc.assert(
    fc.property(policies, policies, (base, extra) => {
      const both = tighten(base, extra);
      assert.ok(MODES.indexOf(both.mode) >= MODES.indexOf(base.mode));
      assert.ok(MODES.indexOf(both.mode) >= MODES.indexOf(extra.mode));
      for (const name of NAMES) {
        const [one, two, joined] = [base, extra, both].map((policy) => trustFor(policy, name));
        if (joined == null) continue;
        for (const key of joined.keys)
          assert.ok(one?.keys.includes(key) && two?.keys.includes(key), `${name} ${key}`);
        for (const identity of PEOPLE)
          for (const issuer of ['https://one', 'https://two']) {
            const accepts = (trust: Trust | null | undefined) =>
              trust?.identities.some((each) => isIdentity(each, { identity, issuer })) === true;
            const sameRoot = base.trustedRoot === extra.trustedRoot;
            assert.equal(accepts(joined), sameRoot && accepts(one) && accepts(two), identity);
          }
        assert.ok(joined.minimumSequence >= (one?.minimumSequence ?? 0), name);
        assert.ok(joined.minimumSequence >= (two?.minimumSequence ?? 0), name);
      }
    }),
  );
});

test('tightening with the same policy changes no decision', () => {
  void fc.assert(
    fc.property(policies, (policy) => {
      const same = tighten(policy, policy);
      for (const name of NAMES) {
        const [one, two] = [trustFor(same, name), trustFor(policy, name)];
        const sorted = (trust: Trust | null) =>
          trust && {
            ...trust,
            identities: trust.identities.map((each) => JSON.stringify(each)).sort(),
          };
        assert.deepEqual(sorted(one), sorted(two));
      }
    }),
  );
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
