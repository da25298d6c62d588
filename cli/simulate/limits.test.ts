import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock } from '#shared/clock.ts';
import { heartbeats } from './heartbeats.ts';
import { readHost } from './host.ts';
import { limitsOf } from './limits.ts';
import { phaseOf } from './phase.ts';

const GIB = 2 ** 30;
const ROOMY = {
  openFilesMax: 1_000_000,
  openFiles: 20,
  memoryAvailableBytes: 64 * GIB,
  localPorts: 64_512,
};

test('the tightest limit comes first, with its figures and the way to have more', () => {
  const first = (figures: Partial<typeof ROOMY>) => limitsOf({ ...ROOMY, ...figures }, 1)[0];
  assert.equal(first({ openFilesMax: 4096 })?.what, 'open files');
  assert.match(first({ openFilesMax: 4096 })?.hint ?? '', /ulimit -n 8192/);
  assert.equal(first({ memoryAvailableBytes: GIB })?.what, 'memory');
  assert.equal(first({})?.what, 'local ports');
  assert.ok((first({})?.agents ?? 0) > 60_000);
});

test('an agent with two connections halves each limit, and no limit is below zero', () => {
  const one = limitsOf(ROOMY, 1);
  for (const { what, agents } of limitsOf(ROOMY, 2)) {
    const before = one.find((each) => each.what === what)?.agents ?? 0;
    assert.ok(Math.abs(agents - before / 2) <= 1, what);
  }
  assert.equal(limitsOf({ ...ROOMY, openFilesMax: 100 }, 1)[0]?.agents, 0);
});

test('this machine says its figures, or has no /proc', async () => {
  const host = await readHost();
  if (host === null) return;
  assert.ok(host.openFilesMax >= host.openFiles && host.openFiles > 0);
  assert.ok(host.memoryAvailableBytes > 1_000_000 && host.localPorts > 0);
});

test('a phase of nothing has no quantiles; one of some has their middle', () => {
  assert.deepEqual(phaseOf([], 0), {
    ...{ count: 0, seconds: 0, perSecond: 0, p50Ms: null, p99Ms: null, failed: 0 },
  });
  const { perSecond, p50Ms, p99Ms } = phaseOf([5, 1, 4, 2, 3], 500);
  assert.deepEqual([perSecond, p50Ms, p99Ms], [10, 3, 5]);
});

test('heartbeats keep their rate, and one that gets no answer is counted as failed', async () => {
  let beats = 0;
  const beat = async () => {
    beats += 1;
    if (beats % 2 === 0) throw new Error('no answer');
    return 1;
  };
  const { signal } = new AbortController();
  const io = { clock: systemClock, signal, say: () => undefined };
  const agents = Array.from({ length: 10 }, () => ({ beat }));
  const { count, failed } = await heartbeats(agents, { seconds: 1, intervalSeconds: 1 }, io);
  assert.ok(beats >= 9 && beats <= 10, `${beats}`);
  assert.equal(count + failed, beats);
  assert.ok(failed >= 4);
});
