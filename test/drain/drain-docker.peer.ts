// A drain against the real Docker engine: every container ends, also those that the engine starts
// again, then the engine does, and both come back when the drain is taken back.

import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, beforeEach, test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { type Cordon, openCordon } from '../../agent/drain/cordon.ts';
import { docker } from '../../agent/drain/docker.ts';
import { type DrainDeps, drain } from '../../agent/drain/drain.ts';
import { processesIn } from '../../agent/drain/processes.ts';
import { uncordon } from '../../agent/drain/uncordon.ts';
import { hostExec } from '../../agent/drivers/exec.ts';
import { systemClock } from '../../shared/clock.ts';
import { DrainOrder } from '../../shared/schema/drain.ts';
import { TaskId } from '../../shared/schema/ids.ts';
import { type DockerFixture, dockerFixture } from './docker-fixture.ts';

const never = new AbortController().signal;
const order = (timeoutSeconds: number) => DrainOrder.parse({ timeoutSeconds });
const SLEEP = ['busybox', '/bin/busybox', 'sleep', '1000'];
let tasks = 0;
function newTask(): TaskId {
  tasks += 1;
  return TaskId.parse(`t-${String(tasks).padStart(16, '0')}`);
}

let engine: DockerFixture;
let dir: string;
before(async () => {
  engine = await dockerFixture();
});
after(() => engine.close());
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'billet-drain-'));
});
afterEach(async () => {
  await rm(dir, { recursive: true });
  await engine.units.start(['docker.service'], never);
  const ids = engine.docker('ps', '--all', '--quiet').split('\n').filter(Boolean);
  if (ids.length > 0) engine.docker('rm', '--force', ...ids);
});

const run = (name: string, ...args: readonly string[]) =>
  engine.docker('run', '--detach', '--network=none', '--name', name, '--stop-timeout=1', ...args);
const running = () => engine.docker('ps', '--format', '{{.Names}}').split('\n').filter(Boolean);
const startedAt = (name: string) =>
  engine.docker('inspect', '--format', '{{.State.StartedAt}}', name);

function depsOf(cordon: Cordon): DrainDeps {
  const { program, socket, units } = engine;
  return {
    ...{ clock: systemClock, cordon, units },
    attaching: {
      wake: () => undefined,
      status: () => ({ held: cordon.held, failure: null }),
      services: async () => [],
    },
    engine: docker({ exec: hostExec, units, program, socket }),
    cluster: {
      observe: async () => null,
      cordon: async () => undefined,
      uncordon: async () => undefined,
      drain: async () => '',
    },
    processes: processesIn({ root: engine.cgroups }),
  };
}

test('containers end, those that start again first, then the engine, and it all comes back', async () => {
  run('plain', ...SLEEP);
  run('always', '--restart=always', ...SLEEP);
  run(
    'deaf',
    'busybox',
    '/bin/busybox',
    'sh',
    '-c',
    'trap "" TERM; while :; do /bin/busybox sleep 1; done',
  );
  run('crashing', '--restart=unless-stopped', 'busybox', '/bin/busybox', 'false');
  run('paused', ...SLEEP);
  engine.docker('pause', 'paused');
  const deps = depsOf(await openCordon(dir));
  assert.equal((await deps.processes()).length >= 4, true);
  const report = await drain(newTask(), order(60), deps, never);
  assert.deepEqual(report.stayed, []);
  assert.equal(report.empty, true);
  assert.match(report.done[0] ?? '', /^docker stop .*always/);
  assert.equal(report.done.at(-2), 'systemctl stop docker.socket docker.service');
  assert.equal(engine.pid(), null);
  assert.deepEqual(await deps.processes(), []);

  await uncordon(deps, never);
  // As the engine has it: `always` comes with it, what somebody stopped otherwise does not.
  assert.deepEqual(running(), ['always']);
});

test('a container whose process is killed comes back by itself: it has to be stopped', async () => {
  run('always', '--restart=always', ...SLEEP);
  const before = startedAt('always');
  process.kill(Number(engine.docker('inspect', '--format', '{{.State.Pid}}', 'always')), 'SIGKILL');
  for (let tries = 0; tries < 50 && startedAt('always') === before; tries += 1)
    await setTimeout(100);
  assert.notEqual(startedAt('always'), before);
  assert.deepEqual(running(), ['always']);
});

test('an engine that does not answer is what stays, and the drain ends in its time', async () => {
  run('plain', ...SLEEP);
  const pid = engine.pid() ?? assert.fail('no engine');
  const deps = depsOf(await openCordon(dir));
  process.kill(pid, 'SIGSTOP');
  const begun = systemClock.monotonic();
  try {
    const report = await drain(newTask(), order(3), deps, never);
    assert.equal(report.empty, false);
    assert.deepEqual(
      report.stayed.map(({ kind, name }) => [kind, name]),
      [['engine', 'docker']],
    );
    assert.match(report.stayed[0]?.reason ?? '', /did not answer in \d+ s/);
    assert.ok(systemClock.monotonic() - begun < 15_000);
  } finally {
    process.kill(pid, 'SIGCONT');
  }
  assert.deepEqual(running(), ['plain']);
  assert.equal((await drain(newTask(), order(30), deps, never)).empty, true);
});

test('a machine without an engine, and one whose socket is only a file, have nothing to stop', async () => {
  const units = { states: async () => new Map() };
  const seen = (socket: string) =>
    docker({ exec: hostExec, units, program: engine.program, socket }).observe(never);
  assert.equal(await seen(join(dir, 'none.sock')), null);
  await engine.units.stop(['docker.service'], never);
  assert.equal(await seen(engine.socket), null);
});
