// Which requests are granted: each rule, and that no mixture of bad parts slips through.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type CsrRequest, decideCsr } from './policy.ts';

const origin = { instance: 'i-1', uri: 'spiffe://d/instance/i-1' };
const plain: CsrRequest = {
  publicKey: { type: 'ed25519' },
  subject: [],
  sans: [],
  extensions: [],
  attributes: [],
};
const own = { type: 'url', value: origin.uri };
const cn = { type: 'CN', value: 'i-1' };
const REQUEST = '1.2.840.113549.1.9.14';
const SAN = '2.5.29.17';

const good: { readonly [K in keyof CsrRequest]: readonly CsrRequest[K][] } = {
  publicKey: [{ type: 'ed25519' }, { type: 'ec', curve: 'P-256' }],
  subject: [[], [cn]],
  sans: [[], [own]],
  extensions: [[], [SAN]],
  attributes: [[], [REQUEST]],
};

const bad: { readonly [K in keyof CsrRequest]: readonly CsrRequest[K][] } = {
  publicKey: [{ type: 'ec', curve: 'P-384' }, { type: 'ec' }, { type: 'RSASSA-PKCS1-v1_5' }],
  subject: [[{ type: 'CN', value: 'i-2' }], [{ type: 'O', value: 'i-1' }], [cn, cn]],
  sans: [
    [{ type: 'url', value: `${origin.uri}0` }],
    [{ type: 'dns', value: origin.uri }],
    [own, { type: 'dns', value: 'coordinator' }],
    [own, own],
  ],
  extensions: [['2.5.29.19'], [SAN, '2.5.29.37'], [SAN, SAN]],
  attributes: [['1.2.840.113549.1.9.7'], [REQUEST, REQUEST]],
};

const pick = (from: typeof good) =>
  fc.record({
    publicKey: fc.constantFrom(...from.publicKey),
    subject: fc.constantFrom(...from.subject),
    sans: fc.constantFrom(...from.sans),
    extensions: fc.constantFrom(...from.extensions),
    attributes: fc.constantFrom(...from.attributes),
  });

test('any mixture of allowed parts is allowed', () =>
  fc.assert(
    fc.property(pick(good), (request) => {
      assert.deepEqual(decideCsr(request, origin), { allowed: true });
    }),
  ));

test('one part that is not allowed is enough to refuse, whatever the others are', () =>
  fc.assert(
    fc.property(
      pick(good),
      pick(bad),
      fc.constantFrom<keyof CsrRequest>('publicKey', 'subject', 'sans', 'extensions', 'attributes'),
      (request, spoiled, part) => {
        const decision = decideCsr({ ...request, [part]: spoiled[part] }, origin);
        assert.equal(decision.allowed, false);
      },
    ),
  ));

test('the reason names what was wrong', () => {
  const rsa = decideCsr({ ...plain, publicKey: { type: 'RSASSA-PKCS1-v1_5' } }, origin);
  assert.match(rsa.allowed ? '' : rsa.reason, /RSASSA.*Ed25519 or P-256/);
  const subject = decideCsr({ ...plain, subject: [{ type: 'CN', value: 'i-2' }] }, origin);
  assert.match(subject.allowed ? '' : subject.reason, /CN=i-1/);
});
