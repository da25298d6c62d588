import assert from 'node:assert/strict';
import { generateKeyPairSync, sign } from 'node:crypto';
import { test } from 'node:test';
import { type PathInfo, parsePathInfo } from './path-info.ts';
import { assertSigned, base32, fingerprint } from './signatures.ts';

// Written by `nix copy` 2.8, signed by a key of `nix-store --generate-binary-cache-key key-1`.
const KEY = { key: 'key-1:jk52nlkzmVsqr9zynhfLxg9KhAQdN+P8u7fjbPwsPVQ=', systems: true };
const SYSTEM = '/nix/store/nk9s32d5b97s311fi517l4qnismlrnba-nixos-system-test-1';
const JSON_2_8 = `[{"path":"${SYSTEM}","narHash":"sha256-uJlCkLg3s4GzQcl3CtOPrRjnDwSGV1q7/UEyDYd5Y7c=","narSize":960,"references":["/nix/store/vabiw3wbn70bfrg3w15hhf4ss7qnway8-dep-1"],"signatures":["key-1:5uUgmx5r2gaSkIyVByVv7jhel1NgOM/pm6fg1nRDgU1ZjzLaqy4Iz9Pe/OvUxQbVc0kxNjLDX4c6IqSpKSxzCA=="]},{"path":"/nix/store/vabiw3wbn70bfrg3w15hhf4ss7qnway8-dep-1","narHash":"sha256-N7D8g9s08ghTD491fiTMwACK7pAkfWQGz3m0xQf8Zos=","narSize":288,"references":[],"signatures":["key-1:lJHDdwCitaAPx1PL3CI3/M/LhUQozHSylJ9n+MKPfCBhMKrR7rVcT8cexVthrH8pD5+bx5Y5BYk5UmEfIv/iAw=="]}]`;

const closure = (): PathInfo[] => parsePathInfo(JSON_2_8) ?? [];

test('signatures that Nix made are verified over the fingerprint of the path', () => {
  assert.equal(
    fingerprint(closure()[0] as PathInfo),
    `1;${SYSTEM};sha256:1dv3g63hscj1znxmlmw60h7yf65diz9hlxy986rq3crpp28456dq;960;/nix/store/vabiw3wbn70bfrg3w15hhf4ss7qnway8-dep-1`,
  );
  assert.doesNotThrow(() => assertSigned(SYSTEM, closure(), [KEY]));
});

test('another size, hash, reference or name than was signed is refused', () => {
  const changed = (change: Partial<PathInfo>) => {
    const [system, part] = closure() as [PathInfo, PathInfo];
    return () => assertSigned(SYSTEM, [system, { ...part, ...change }], [KEY]);
  };
  const invalid = { code: 'NIX_SIGNATURE_INVALID' };
  assert.throws(changed({ narSize: 289 }), invalid);
  assert.throws(changed({ references: [SYSTEM] }), invalid);
  assert.throws(changed({ narHash: closure()[0]?.narHash ?? '' }), invalid);
  assert.throws(changed({ signatures: closure()[0]?.signatures ?? [] }), invalid);
  assert.throws(changed({ signatures: ['key-1:AAAA'] }), invalid);
  assert.throws(changed({ signatures: [] }), { code: 'NIX_SIGNATURE_MISSING' });
});

test('a path that a system refers to has to be part of the closure', () => {
  const alone = closure().slice(0, 1);
  assert.throws(() => assertSigned(SYSTEM, alone, [KEY]), { code: 'NIX_CLOSURE_MISSING' });
  assert.throws(() => assertSigned(SYSTEM, [], [KEY]), { code: 'NIX_CLOSURE_MISSING' });
});

test('a name does not make a key: another key under the same name is refused', () => {
  const { publicKey } = generateKeyPairSync('ed25519');
  const { x = '' } = publicKey.export({ format: 'jwk' });
  const other = `key-1:${Buffer.from(x, 'base64url').toString('base64')}`;
  const foreign = [{ key: other, systems: true }];
  assert.throws(() => assertSigned(SYSTEM, closure(), foreign), { code: 'NIX_SIGNATURE_INVALID' });
});

test('an address that is its content needs no signature, but for the system itself', () => {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  const { x = '' } = publicKey.export({ format: 'jwk' });
  const key = { key: `own:${Buffer.from(x, 'base64url').toString('base64')}`, systems: true };
  const [system, part] = closure() as [PathInfo, PathInfo];
  const signature = sign(null, Buffer.from(fingerprint(system)), privateKey).toString('base64');
  const fixed = { ...part, signatures: [], contentAddressed: true };
  const signed = { ...system, signatures: [`own:${signature}`] };
  assert.doesNotThrow(() => assertSigned(SYSTEM, [signed, fixed], [key]));
  const unsigned = { ...system, signatures: [], contentAddressed: true };
  const missing = { code: 'NIX_SIGNATURE_MISSING' };
  assert.throws(() => assertSigned(SYSTEM, [unsigned, fixed], [key]), missing);
});

test('what newer Nix prints is read as well: an object by path, null for what is missing', () => {
  const byPath = (entries: readonly unknown[]) =>
    JSON.stringify(
      Object.fromEntries(entries.map((entry, index) => [closure()[index]?.path, entry])),
    );
  const entries = closure().map(({ path: _, contentAddressed: __, ...entry }) => entry);
  assert.deepEqual(parsePathInfo(byPath(entries)), closure());
  assert.equal(parsePathInfo(byPath([entries[0], null])), null);
  assert.equal(parsePathInfo(JSON.stringify([{ path: SYSTEM, valid: false }])), null);
  assert.throws(() => parsePathInfo('[{"path":"/etc/passwd"}]'));
});

test("Nix's base 32 is that of the reference", () => {
  const hash = Buffer.from('uJlCkLg3s4GzQcl3CtOPrRjnDwSGV1q7/UEyDYd5Y7c=', 'base64');
  assert.equal(base32(hash), '1dv3g63hscj1znxmlmw60h7yf65diz9hlxy986rq3crpp28456dq');
});
