import assert from 'node:assert/strict';
import { test } from 'node:test';
import { IMAGE_LIFE_MS, judgeNtp, takenBack } from './time-rules.ts';

const DAY_MS = 24 * 3_600_000;
const FLOOR = Date.UTC(2026, 10, 20);

test('a time server sets a clock forward, from the floor by at most the life of an image', () => {
  const kind = (unixMs: number, clockMs = FLOOR) =>
    judgeNtp({ unixMs, clockMs, floorMs: FLOOR }).kind;
  assert.equal(kind(FLOOR + DAY_MS), 'forward');
  assert.equal(kind(FLOOR + 1000), 'close');
  assert.equal(kind(FLOOR - 1), 'refused', 'behind the floor: it lies, or has no clock itself');
  assert.equal(kind(FLOOR + IMAGE_LIFE_MS + 1), 'refused');
  assert.equal(kind(FLOOR + DAY_MS, FLOOR + 2 * DAY_MS), 'refused', 'a clock is not set back');
  assert.equal(kind(FLOOR + DAY_MS, FLOOR + DAY_MS + 60_000), 'close');
});

test('a coordinator that proved itself takes back what a time server did, and no more', () => {
  const clockMs = FLOOR + 100 * DAY_MS;
  const back = (coordinatorMs: number, shiftMs: number) =>
    takenBack({ clockMs, coordinatorMs, shiftMs });
  assert.equal(back(FLOOR + DAY_MS, 99 * DAY_MS), FLOOR + DAY_MS);
  assert.equal(back(FLOOR, 50 * DAY_MS), FLOOR + 50 * DAY_MS, 'where it would be by itself');
  assert.equal(back(FLOOR, 0), null);
  assert.equal(back(clockMs + DAY_MS, 50 * DAY_MS), null);
  assert.equal(back(clockMs - 1000, 50 * DAY_MS), null);
});
