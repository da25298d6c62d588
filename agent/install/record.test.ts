import assert from 'node:assert/strict';
import { test } from 'node:test';
import { crc32 } from 'node:zlib';
import { INSTALL_STEPS } from '#shared/schema/install-report.ts';
import { eventSeed } from './event-ids.ts';
import { guidBytes, guidText, parseGpt } from './gpt.ts';
import {
  decodeRecord,
  encodeRecord,
  GIVEN_UP_MAX,
  newestRecord,
  RECORD_BLOCK_BYTES,
  recordOffset,
} from './record.ts';
import { EVENT, record } from './testing.ts';

test('a record comes back as it was written, in one block', () => {
  const full = record(INSTALL_STEPS, {
    recoveryKey: 'A'.repeat(2048),
    givenUp: Array.from({ length: GIVEN_UP_MAX }, (_, n) => n.toString(16).padStart(8, '0')),
    sequence: Number.MAX_SAFE_INTEGER,
  });
  const block = encodeRecord(full);
  assert.equal(block.length, RECORD_BLOCK_BYTES);
  assert.deepEqual(decodeRecord(block), full);
});

test('a write that is torn anywhere leaves the record before it', () => {
  const [before, after] = [
    record(['wipe'], { sequence: 4 }),
    record(['wipe', 'partition'], { sequence: 5 }),
  ];
  assert.notEqual(recordOffset(before), recordOffset(after));
  const [old, now] = [encodeRecord(record([], { sequence: 3 })), encodeRecord(after)];
  for (let at = 0; at < 600; at += 1) {
    const torn = Buffer.concat([now.subarray(0, at), old.subarray(at)]);
    const found = newestRecord([encodeRecord(before), torn]);
    const whole = torn.equals(now);
    assert.deepEqual(found, whole ? after : before, `torn at ${at}`);
  }
});

test('what no installer wrote is no record', () => {
  for (const block of [
    Buffer.alloc(4096),
    Buffer.alloc(4096, 0xff),
    Buffer.from('BILLET INSTALL 1\n'),
    Buffer.alloc(0),
  ])
    assert.equal(decodeRecord(block), null);
  const flipped = encodeRecord(record([]));
  flipped[60] = (flipped[60] ?? 0) ^ 1;
  assert.equal(decodeRecord(flipped), null);
  const forged = `BILLET INSTALL 1\n${crc32('{').toString(16).padStart(8, '0')}\n{`;
  assert.equal(decodeRecord(Buffer.from(forged)), null);
});

test('the seed of an event is a UUIDv5, another for each event; a GUID keeps its mixed byte order', () => {
  assert.match(
    eventSeed(EVENT as never),
    /^[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/,
  );
  assert.notEqual(eventSeed(EVENT as never), eventSeed('ie-0123456789abcdeg' as never));
  // UEFI 2.10, appendix A: C12A7328-… begins 28 73 2a c1.
  const esp = 'c12a7328-f81f-11d2-ba4b-00a0c93ec93b';
  assert.equal(guidBytes(esp).toString('hex'), '28732ac11ff8d211ba4b00a0c93ec93b');
  assert.equal(guidText(guidBytes(esp)), esp);
  assert.equal(parseGpt(Buffer.alloc(65_536), 512), null);
});
