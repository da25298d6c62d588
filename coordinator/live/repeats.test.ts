// The short way of a repeated heartbeat against the long one, JSON and schema, which is the truth.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { NodeMessage } from '#shared/schema/heartbeat.ts';
import { significance } from '../nodes/heartbeat-writes.ts';
import { repeats } from './repeats.ts';

const digest = (hex: string) => `sha256:${hex.repeat(64)}`;
const BEAT = {
  bootId: '11111111-1111-4111-8111-111111111111',
  agentVersion: '0.1.0',
  phase: 'ready',
  generation: 3,
  systemImage: digest('a'),
  modules: [
    { name: 'web', version: '1', manifest: digest('b'), image: digest('c'), state: 'attached' },
  ],
  lastReconcile: { at: '2026-11-21T12:00:00.000Z', outcome: 'converged', steps: 0 },
  conditions: [{ code: 'A_B', text: 'größer als "1"', hint: 'none' }],
  uptimeSeconds: 12.5,
  load1: 0.25,
  memoryTotalBytes: 2_000_000,
  memoryAvailableBytes: 1_000_000,
};
const textOf = (heartbeat: object, seq: unknown = 0): string =>
  JSON.stringify({ type: 'heartbeat', seq, heartbeat });

function theLongWay(text: string): NodeMessage | null {
  try {
    return NodeMessage.safeParse(JSON.parse(text)).data ?? null;
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}

/** One that has learned `text`. */
function learned(text: string) {
  const known = repeats();
  known.learn(text, JSON.parse(text), NodeMessage.parse(JSON.parse(text)));
  return known;
}

/** Null, or the same as by the long way, and nothing that would be worth a write. */
function agrees(known: ReturnType<typeof repeats>, text: string): boolean {
  const read = known.read(text);
  if (read === null) return false;
  const whole = theLongWay(text);
  assert.deepEqual({ type: 'heartbeat', seq: read.seq, heartbeat: read.heartbeat }, whole, text);
  assert.equal(significance(read.heartbeat), significance(read.like));
  return true;
}

const nasty = fc.oneof(
  fc.double(),
  fc.integer(),
  fc.constantFrom<unknown>(null, '', '5', true, -0, 1e-7, 1e21, 2 ** 53, [], {}),
);
const moved = fc.record(
  {
    uptimeSeconds: fc.double({ min: 0, max: 1e9, noNaN: true }),
    load1: fc.double({ min: 0, max: 900, noNaN: true }),
    memoryAvailableBytes: fc.nat(),
    seq: fc.nat(),
    at: fc
      .date({ min: new Date(0), max: new Date(4e12), noInvalidDate: true })
      .map((date) => date.toISOString()),
  },
  { requiredKeys: [] },
);
const movedBeat = ({
  at = BEAT.lastReconcile.at,
  seq: _,
  ...values
}: {
  at?: string;
  seq?: number;
}) => ({
  ...BEAT,
  ...values,
  lastReconcile: { ...BEAT.lastReconcile, at },
});

test('what an agent sends again, with other numbers and times, is recognised and the same', async () => {
  const known = learned(textOf(BEAT));
  await fc.assert(
    fc.property(moved, (values) => {
      const text = textOf(movedBeat(values), values.seq ?? 1);
      // Not those that JSON writes with an exponent.
      assert.ok(agrees(known, text) || /\de[+-]/.test(text), text);
    }),
  );
});

test('whatever value stands in a place that moves, the long way decides alike', async () => {
  await fc.assert(
    fc.property(
      nasty,
      nasty,
      nasty,
      nasty,
      fc.string(),
      (seq, uptimeSeconds, load1, memory, at) => {
        const beat = { ...movedBeat({ at }), uptimeSeconds, load1, memoryAvailableBytes: memory };
        agrees(learned(textOf(BEAT)), textOf(beat, seq));
      },
    ),
  );
});

test('a character that is another one, is gone or is too many is never overlooked', async () => {
  const before = textOf(BEAT);
  const place = fc.nat({ max: before.length });
  const piece = fc.oneof(
    fc.string({ maxLength: 3 }),
    fc.constantFrom('1', '.', '-', 'e', '0', '"', ' '),
  );
  await fc.assert(
    fc.property(place, fc.nat({ max: 3 }), piece, (at, gone, added) => {
      agrees(learned(before), before.slice(0, at) + added + before.slice(at + gone));
    }),
    { numRuns: 3_000 },
  );
});

test('fields from a newer agent stay ignored, also one twice or called __proto__', () => {
  const strange = `{"type":"heartbeat","seq":1,"new":{"seq":5},"heartbeat":{"__proto__":{"load1":7},${textOf(BEAT).split('"heartbeat":{')[1]}`;
  const twice = textOf(BEAT).replace('"load1":0.25', '"load1":9,"load1":0.25');
  assert.ok(agrees(learned(strange), strange.replace('"load1":0.25', '"load1":0.5')));
  assert.equal(learned(strange).read(strange.replace('{"load1":7}', '{"load1":8}')), null);
  assert.equal(learned(twice).read(twice), null, 'which of the two counts is for JSON to say');
});

test('each repetition follows the one before, and a change is learned anew', () => {
  const known = learned(textOf(BEAT));
  const second = known.read(textOf({ ...BEAT, load1: 1 }, 1));
  const third = known.read(textOf({ ...BEAT, load1: 2 }, 2));
  assert.equal(third?.like, second?.heartbeat);
  assert.equal(third?.heartbeat.load1, 2);
  const degraded = textOf({ ...BEAT, phase: 'degraded' }, 3);
  assert.equal(known.read(degraded), null);
  known.learn(degraded, JSON.parse(degraded), NodeMessage.parse(JSON.parse(degraded)));
  assert.equal(known.read(degraded)?.heartbeat.phase, 'degraded');
  assert.equal(repeats().read(degraded), null, 'nothing is known at first');
});
