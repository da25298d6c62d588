import assert from 'node:assert/strict';
import { test } from 'node:test';
import { failureLine, markerLine, parseMarker } from '#shared/markers.ts';
import { advance, emptyTimeline, type Timeline } from './timeline.ts';

const read = (timeline: Timeline, line: string, at: number): Timeline => {
  const marker = parseMarker(`[   12.5] ${line}\r`);
  assert.ok(marker);
  return advance(timeline, marker, at);
};

test('a stage lasts from the end of the one before it', () => {
  const first = read(emptyTimeline, markerLine('boot-start'), 13.5);
  const second = read(
    first,
    markerLine('network-up', { interface: 'ens3', address: '10.0.2.15' }),
    15,
  );
  assert.deepEqual(
    second.stages.map(({ seconds, detail }) => [seconds, detail]),
    [
      [13.5, ''],
      [1.5, '10.0.2.15 ens3'],
    ],
  );
});

test('a pull shows its bytes until the next stage ends it', () => {
  const pulling = read(emptyTimeline, markerLine('pull-progress', { done: 5, total: 10 }), 20);
  assert.deepEqual(pulling.progress, { doneBytes: 5, totalBytes: 10 });
  const pulled = read(pulling, markerLine('pulled', { modules: 2, bytes: 110_000_000 }), 30);
  assert.equal(pulled.progress, null);
  assert.equal(pulled.stages[0]?.detail, '2 modules 110 MB');
});

test('a failure stays until a later stage is reached, and only ready is ready', () => {
  const line = failureLine('enrolled', {
    code: 'LINK_DOWN',
    message: 'no answer',
    hint: 'start it',
  });
  const failed = read(emptyTimeline, line, 9);
  assert.deepEqual(failed.failure, {
    stage: 'enrolled',
    code: 'LINK_DOWN',
    message: 'no answer',
    hint: 'start it',
  });
  const enrolled = read(failed, markerLine('enrolled', { instance: 'i-1' }), 12);
  assert.equal(enrolled.failure, null);
  assert.equal(enrolled.ready, false);
  assert.equal(read(enrolled, markerLine('ready', { generation: 1 }), 60).ready, true);
});
