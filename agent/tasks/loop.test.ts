import assert from 'node:assert/strict';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import type { RouteClient } from '#shared/client/route-client.ts';
import type { Clock } from '#shared/clock.ts';
import { BilletError, type Code } from '#shared/errors.ts';
import type { Route } from '#shared/routes/route.ts';
import { TaskId } from '#shared/schema/ids.ts';
import { LeasedTask } from '#shared/schema/task.ts';
import type { Exec } from '../drivers/exec.ts';
import { type ReportQueue, reportQueue, TaskReport } from '../link/queue.ts';
import { newest } from './collect-logs.ts';
import type { TaskKind } from './kind.ts';
import { taskLoop } from './loop.ts';
import { rebootTask } from './reboot.ts';

const never = new AbortController().signal;
const ID = 't-0123456789abcdef';
const BOOT = '11111111-1111-4111-8111-111111111111';
let dir: string;
let queue: ReportQueue;
let now = 0;
const clock: Clock = {
  now: () => now,
  monotonic: () => now,
  async sleep(ms, signal) {
    await setTimeout(2, undefined, { signal });
    now += ms;
  },
};

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'billet-tasks-'));
  queue = reportQueue(join(dir, 'reports'));
});
afterEach(() => rm(dir, { recursive: true }));

const leased = (spec: object): LeasedTask =>
  LeasedTask.parse({ id: ID, epoch: 1, spec, leaseSeconds: 30 });

interface Fake {
  readonly client: RouteClient;
  readonly reports: unknown[];
  readonly calls: string[];
  /** What renewals and reports answer; null for a good reply. */
  renewal: Code | 'cancelled' | null;
  report: Code | null;
}

function coordinator(...tasks: LeasedTask[]): Fake {
  const fake: Omit<Fake, 'client'> = { reports: [], calls: [], renewal: null, report: null };
  const answer = (route: Route, input: { readonly body?: unknown }): unknown => {
    const verb = route.path.split('/').at(-1) ?? '';
    fake.calls.push(verb);
    if (verb === 'lease') return { tasks: tasks.splice(0, 1) };
    const refused = verb === 'renew' ? fake.renewal : fake.report;
    if (refused !== null && refused !== 'cancelled')
      throw new BilletError(refused, refused, { hint: '' });
    if (verb === 'renew') return { leaseSeconds: 30, cancelled: refused === 'cancelled' };
    fake.reports.push(input.body);
    return { state: 'succeeded' };
  };
  const client = {
    call: async (route: Route, input: object) => ({
      body: answer(route, input),
      status: 200,
      etag: null,
    }),
    open: () => Promise.reject(new Error('not here')),
  } as unknown as RouteClient;
  return Object.assign(fake, { client });
}

const loopOf = (fake: Fake, ...kinds: TaskKind[]) =>
  taskLoop({
    clock,
    client: () => fake.client,
    kinds,
    queue,
    bootId: BOOT,
    onError: () => undefined,
  });

const slow = (onAbort: () => void): TaskKind => ({
  kind: 'slow',
  async run(_task, signal) {
    await new Promise((_, reject) =>
      signal.addEventListener('abort', () => {
        onAbort();
        reject(signal.reason);
      }),
    );
    return { outcome: 'succeeded' };
  },
});

test('an unknown kind is refused by itself, and the next task runs', async () => {
  const fake = coordinator(leased({ kind: 'from-the-future' }), leased({ kind: 'good' }));
  await loopOf(fake, { kind: 'good', run: async () => ({ outcome: 'succeeded' }) }).once(never);
  const results = fake.reports.map((each) => (each as { result: object }).result);
  assert.deepEqual(results[0], {
    outcome: 'failed',
    code: 'TASK_KIND_UNKNOWN',
    message:
      'this agent knows no task kind from-the-future (bring the node to a system image with a newer agent)',
  });
  assert.deepEqual(results[1], { outcome: 'succeeded' });
});

for (const renewal of ['LEASE_LOST', 'cancelled'] as const)
  test(`a lease that is ${renewal} ends the task, and nothing is reported`, async () => {
    const fake = coordinator(leased({ kind: 'slow' }));
    fake.renewal = renewal;
    let aborted = false;
    const kind = slow(() => {
      aborted = true;
    });
    await loopOf(fake, kind).once(never);
    assert.ok(aborted);
    assert.deepEqual(fake.reports, []);
  });

test('a link that is down is borne until the lease has run out', async () => {
  const fake = coordinator(leased({ kind: 'slow' }));
  fake.renewal = 'LINK_DOWN';
  await loopOf(
    fake,
    slow(() => undefined),
  ).once(never);
  assert.equal(fake.calls.filter((verb) => verb === 'renew').length, 3);
  assert.deepEqual(fake.reports, []);
});

test('a report waits on disk while the coordinator is away, and is sent by the next agent', async () => {
  const fake = coordinator(leased({ kind: 'good' }));
  fake.report = 'LINK_DOWN';
  const kind: TaskKind = { kind: 'good', run: async () => ({ outcome: 'succeeded' }) };
  await loopOf(fake, kind).once(never);
  assert.equal((await readdir(join(dir, 'reports'))).length, 1);
  const later = coordinator();
  await loopOf(later, kind).once(never);
  assert.deepEqual(later.reports, [{ epoch: 1, result: { outcome: 'succeeded' } }]);
  assert.deepEqual(await readdir(join(dir, 'reports')), []);
});

test('only who holds no task asks for what it was given and never got', async () => {
  const fake = coordinator(leased({ kind: 'later' }));
  const asked: unknown[] = [];
  const { call } = fake.client;
  fake.client.call = ((route: Route, input: { body: unknown }) => {
    if (route.path.endsWith('/lease')) asked.push(input.body);
    return call(route, input as never);
  }) as never;
  await loopOf(fake, { kind: 'later', run: async () => null }).once(never);
  assert.deepEqual(asked, [{ max: 1, bootId: BOOT }, { max: 1 }]);
});

test('a report that is refused for good is dropped', async () => {
  const report = TaskReport.parse({ id: ID, epoch: 2, result: { outcome: 'failed' } });
  await queue.add(report);
  const refuse = (code: Code) => () => Promise.reject(new BilletError(code, code, { hint: '' }));
  assert.deepEqual(await queue.flush(refuse('UNAVAILABLE')), { sent: 0, dropped: 0, left: 1 });
  assert.deepEqual(await queue.flush(refuse('LEASE_LOST')), { sent: 0, dropped: 1, left: 0 });
  assert.deepEqual(await queue.flush(refuse('LEASE_LOST')), { sent: 0, dropped: 0, left: 0 });
});

test('a reboot is not reported here, is asked for again in its boot, and never in a later one', async () => {
  const commands: string[] = [];
  let code = 0;
  const exec: Exec = async (argv) => {
    commands.push(argv.join(' '));
    return { code, stdout: '', stderr: '' };
  };
  const task = leased({ kind: 'reboot', reason: '' });
  const boot = (bootId: string) => rebootTask({ stateDir: dir, bootId, exec });
  assert.equal(await boot('a').run(task, never), null);
  assert.equal(await boot('a').run(task, never), null);
  assert.equal(commands.length, 2);
  await assert.rejects(boot('b').run(task, never), { code: 'CONFLICT', hint: /create another/ });
  assert.equal(commands.length, 2);
  const other = { ...task, id: TaskId.parse('t-fedcba9876543210') };
  assert.equal(await boot('b').run(other, never), null);
  assert.equal(commands.length, 3);
  code = 1;
  await assert.rejects(boot('b').run(other, never), { code: 'COMMAND_FAILED' });
});

test('logs are cut to whole lines from the end', () => {
  const text = Array.from({ length: 100 }, (_, index) => `line ${index} ü\n`).join('');
  const cut = newest(text, 200);
  assert.ok(Buffer.byteLength(cut) <= 200);
  assert.match(cut, /^line \d+ ü\n/);
  assert.ok(text.endsWith(cut));
});
