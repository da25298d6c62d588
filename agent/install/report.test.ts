import assert from 'node:assert/strict';
import { test } from 'node:test';
import { InstallReport } from '#shared/schema/install-report.ts';
import type { InstallPorts, InstallRequest } from './ports.ts';
import { installNews } from './report.ts';
import { planRequest } from './testing.ts';

const signal = new AbortController().signal;

function news(failing = false, answer = Promise.resolve()) {
  let now = 0;
  const reports: InstallReport[] = [];
  const markers: string[] = [];
  const clock = { now: () => now, monotonic: () => now, sleep: async () => undefined };
  const log = {
    marker: (stage: string, fields = {}) => markers.push(`${stage} ${JSON.stringify(fields)}`),
    failure: (stage: string) => markers.push(`failed ${stage}`),
  };
  const uplink = {
    async reportInstall(report: InstallReport) {
      if (failing) throw new Error('the coordinator is away');
      await answer;
      reports.push(InstallReport.parse(report));
    },
  };
  const request = {
    desired: { install: planRequest([]).order },
    ...{ bootId: '11111111-2222-4333-8444-555555555555', uplink },
  };
  const about = { disk: null, candidates: [], recoveryKey: () => null };
  return {
    ...{ reports, markers },
    later: (ms: number) => {
      now += ms;
    },
    news: installNews(
      { clock, log } as unknown as InstallPorts,
      request as unknown as InstallRequest,
      about,
      signal,
    ),
  };
}

test('progress is shown once a second at most, and reported every five, and only grows', async () => {
  const { news: told, later, reports, markers } = news();
  await told.step('slot');
  for (let tenth = 0; tenth < 110; tenth += 1) {
    later(100);
    told.progress(tenth / 110);
    await told.settle();
  }
  told.progress(0.1);
  await told.settle();
  const shown = markers.filter((line) => line.startsWith('install-progress'));
  assert.equal(shown.length, 1 + 11);
  assert.equal(reports.length, 1 + 2);
  const progress = reports.map((report) => report.progress);
  assert.deepEqual(
    progress,
    [...progress].sort((a, b) => a - b),
  );
  assert.ok(progress.every((share) => share >= 0.2 && share < 0.9));
});

test('each step is told at once, and the end with all of it done', async () => {
  const { news: told, reports } = news();
  await told.step('wipe');
  await told.step('partition');
  assert.equal(await told.end('installed'), true);
  assert.deepEqual(
    reports.map(({ state, step, progress }) => [state, step, progress]),
    [
      ['installing', 'wipe', 0],
      ['installing', 'partition', 0.02],
      ['installed', 'partition', 1],
    ],
  );
});

test('a coordinator that is away holds nothing up, and its absence is shown', async () => {
  const { news: told, markers } = news(true);
  await told.step('wipe');
  assert.equal(await told.end('installed'), false);
  assert.equal(markers.filter((line) => line === 'failed install-progress').length, 2);
});

test('a slow coordinator gets the newest progress next, and no queue that the end would wait for', async () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  const { news: told, later, reports } = news(false, promise);
  await told.step('slot');
  for (let minute = 0; minute < 10; minute += 1) {
    later(60_000);
    told.progress(minute / 10);
  }
  resolve();
  await told.end('installed');
  assert.deepEqual(
    reports.map(({ state }) => state),
    ['installing', 'installed'],
  );
});
