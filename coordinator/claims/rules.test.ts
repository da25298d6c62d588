import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { sha256 } from '#shared/digest.ts';
import { CLAIM_ALPHABET, ClaimCode } from '#shared/schema/claim.ts';
import {
  APPROVED_MAX,
  admit,
  codeOf,
  OPEN_MAX,
  refill,
  type Standing,
  waitSeconds,
} from './rules.ts';

const standing = (at: number, fields: Partial<Standing> = {}): Standing => ({
  code: codeOf(Buffer.from([0, 0, 0, at >> 8, at & 255])),
  key: sha256(`key ${at}`),
  hash: `${at}`.padStart(64, '0'),
  state: 'open',
  expiresAt: 1000,
  ...fields,
});

test('a code is forty bits in letters that nobody confuses, and is read as people write it', async () => {
  assert.equal(codeOf(Buffer.from([0, 0, 0, 0, 0])), '0000-0000');
  assert.equal(codeOf(Buffer.from([255, 255, 255, 255, 255])), 'ZZZZ-ZZZZ');
  for (const letter of 'ILOU') assert.ok(!CLAIM_ALPHABET.includes(letter));
  await fc.assert(
    fc.property(fc.uint8Array({ minLength: 5, maxLength: 5 }), (bytes) => {
      const code = codeOf(bytes);
      const digits = [...code.replace('-', '')].map((digit) => CLAIM_ALPHABET.indexOf(digit));
      const back = digits.reduce((sum, digit) => sum * 32n + BigInt(digit), 0n);
      assert.equal(back, BigInt(`0x${Buffer.from(bytes).toString('hex')}`));
      assert.equal(ClaimCode.parse(code.toLowerCase().replace('-', ' ')), code);
    }),
  );
  assert.equal(ClaimCode.parse('ol1i-oO0o'), '0111-0000');
  for (const wrong of ['', '7K3M', '7K3M-Q2XU', '7K3M-Q2XTT'])
    assert.equal(ClaimCode.safeParse(wrong).success, false, wrong);
});

test('a machine that asks again has its claim; another secret ends the first, a denied key waits', () => {
  const first = standing(1);
  assert.deepEqual(admit([first], first, 999), { kind: 'known', code: first.code });
  const approved = standing(1, { state: 'approved' });
  assert.equal(admit([approved], approved, 999).kind, 'known');
  const other = admit([first], { ...first, hash: 'f'.repeat(64) }, 999);
  assert.deepEqual(other, { kind: 'new', fullUntil: null, kept: [], over: [first] });
  const denied = standing(1, { state: 'denied' });
  assert.deepEqual(admit([denied], first, 999), { kind: 'denied', until: 1000 });
  assert.equal(admit([denied], first, 1000).kind, 'new');
});

test('the number that waits is bounded; what ran out or was answered takes no place', () => {
  const full = Array.from({ length: OPEN_MAX }, (_, at) => standing(at));
  const more = standing(OPEN_MAX);
  const room = (all: readonly Standing[]) => {
    const found = admit(all, more, 999);
    return found.kind === 'new' ? found.fullUntil : 'known';
  };
  assert.equal(room(full), 1000);
  assert.equal(room(full.with(3, standing(3, { state: 'approved' }))), null);
  const late = admit(full.with(7, standing(7, { expiresAt: 500 })), more, 999);
  assert.ok(late.kind === 'new' && late.over.length === 1 && late.kept.length === OPEN_MAX - 1);
  // Who has a place keeps it.
  assert.equal(admit(full, standing(9), 999).kind, 'known');
});

test('of answered claims so many are kept; the one that runs out first makes room', () => {
  const approved = Array.from({ length: APPROVED_MAX }, (_, at) =>
    standing(at, { state: 'approved', expiresAt: 2000 - at }),
  );
  const found = admit(approved, standing(999), 999);
  assert.ok(found.kind === 'new');
  assert.deepEqual(found.over, [approved.at(-1)]);
  const denied = standing(500, { state: 'denied' });
  const kept = admit([...approved, denied], standing(999), 999);
  assert.ok(kept.kind === 'new' && kept.kept.includes(denied), 'what was denied stays denied');
});

test('a bucket never holds more than its burst, nor gives more than its rate', async () => {
  const rate = { burst: 3, intervalMs: 100 };
  await fc.assert(
    fc.property(fc.array(fc.nat(500), { minLength: 1, maxLength: 60 }), (waits) => {
      let bucket = refill(undefined, rate, 0);
      let [now, taken] = [0, 0];
      for (const wait of waits) {
        now += wait;
        bucket = refill(bucket, rate, now);
        assert.ok(bucket.tokens <= rate.burst);
        if (bucket.tokens < 1) {
          const soon = refill(bucket, rate, now + waitSeconds(bucket, rate) * 1000);
          assert.ok(soon.tokens >= 1);
          continue;
        }
        bucket = { ...bucket, tokens: bucket.tokens - 1 };
        taken += 1;
      }
      assert.ok(taken <= rate.burst + now / rate.intervalMs);
    }),
  );
});
