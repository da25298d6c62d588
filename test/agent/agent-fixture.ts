// A real agent daemon in this process, on a node that is a directory, against a real coordinator.

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { type Booted, runDaemon } from '../../agent/daemon.ts';
import type { Exec } from '../../agent/drivers/exec.ts';
import type { Log } from '../../agent/drivers/journal.ts';
import { openNotify } from '../../agent/drivers/notify.ts';
import { type Enrolled, ensureEnrolled } from '../../agent/identity/ensure-enrolled.ts';
import { type TestModule, testNode } from '../../agent/reconcile/testing.ts';
import { silentLog } from '../../coordinator/log.ts';
import { startCoordinator } from '../../coordinator/main.ts';
import { systemClock } from '../../shared/clock.ts';
import { markerLine } from '../../shared/markers.ts';
import { Identity } from '../../shared/schema/identity.ts';
import type { InstanceId } from '../../shared/schema/ids.ts';
import { FACTS, type Fixture } from '../coordinator/coordinator-fixture.ts';

export const BOOT_ID = '33333333-3333-4333-8333-333333333333';

export interface AgentFixture {
  readonly dir: string;
  readonly runDir: string;
  readonly enrolled: Enrolled;
  /** Marker lines and log messages, as they came. */
  readonly lines: string[];
  /** SIGTERM's effect; resolves when the daemon has returned. */
  stop(): Promise<void>;
}

export interface AgentOptions {
  readonly modules: readonly TestModule[];
  readonly exec?: Exec;
  readonly booted?: Booted;
  /** Of an agent that was stopped. */
  readonly dir?: string;
  readonly bootId?: string;
  /** As Math.random. */
  readonly random?: () => number;
}

export const quietExec: Exec = async () => ({ code: 0, stdout: '', stderr: '' });

export async function identityOf(fixture: Fixture, instance: InstanceId): Promise<Identity> {
  return Identity.parse({
    coordinator: fixture.coordinator.url,
    ca: fixture.coordinator.caFingerprint,
    instance,
    token: await fixture.token(instance),
  });
}

export async function startAgent(
  fixture: Fixture,
  instance: InstanceId,
  options: AgentOptions,
): Promise<AgentFixture> {
  const dir = options.dir ?? (await mkdtemp(join(tmpdir(), 'billet-agent-')));
  const stateDir = join(dir, 'state');
  const runDir = join(dir, 'run');
  const lines: string[] = [];
  const stop = new AbortController();
  const log: Log = {
    info: (message) => lines.push(message),
    warn: (message) => lines.push(message),
    fail: (error) => lines.push(String(error)),
    close: async () => undefined,
  };
  const host = {
    facts: async () => FACTS,
    vitals: async () => ({ uptimeSeconds: 1 }),
    bootId: async () => options.bootId ?? BOOT_ID,
  };
  const identity = await identityOf(fixture, instance);
  const enrolled = await ensureEnrolled(
    { identity, facts: FACTS, dir: stateDir, clock: fixture.clock },
    stop.signal,
  );
  const running = runDaemon(
    {
      clock: fixture.clock,
      random: options.random ?? Math.random,
      log,
      notify: openNotify(null),
      mark: (stage, fields) => lines.push(markerLine(stage, fields)),
      host,
      exec: options.exec ?? quietExec,
      enrolled,
      stateDir,
      runDir,
      booted: options.booted ?? null,
      openPorts: async () => testNode(dir, options.modules),
      notices: async () => null,
      conditions: () => [],
      // Nothing of this machine itself.
      sites: {
        socket: join(dir, 'docker.sock'),
        kubeconfigs: [join(dir, 'kubeconfig')],
        cgroups: join(dir, 'cgroup'),
      },
    },
    stop.signal,
  );
  return {
    dir,
    runDir,
    enrolled,
    lines,
    async stop() {
      stop.abort();
      await running;
    },
  };
}

/** A limit for a busy machine: what is waited for comes within a second or two. */
const PATIENCE_MS = 30_000;

/** Waits for what `read` finds; fails with the last value it gave. */
export async function eventually<T>(
  read: () => Promise<T> | T,
  holds: (value: T) => boolean,
): Promise<T> {
  const until = systemClock.monotonic() + PATIENCE_MS;
  for (;;) {
    const value = await read();
    if (holds(value)) return value;
    if (systemClock.monotonic() > until) throw new Error(`never: ${JSON.stringify(value)}`);
    await setTimeout(25);
  }
}

/** Stops the coordinator, and starts it again on its state and port. */
export async function restartCoordinator(
  fixture: Fixture,
  heartbeatSeconds: number,
): Promise<void> {
  const { port } = fixture.coordinator;
  await fixture.coordinator.stop();
  fixture.coordinator = await startCoordinator(
    {
      stateDir: fixture.stateDir,
      listen: `127.0.0.1:${port}`,
      bootListen: null,
      stopSeconds: 1,
      heartbeatSeconds,
    },
    { clock: fixture.clock, log: silentLog },
  );
}

export const removeDir = (dir: string) => rm(dir, { recursive: true, force: true });
