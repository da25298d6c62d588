// Coordinators that die at a commit and are started again over what was on disk then: one in this
// process (a copy of the state directory at that moment), one that is a process and gets SIGKILL.

import assert from 'node:assert/strict';
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { cpSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { silentLog } from '../../coordinator/log.ts';
import { type Coordinator, startCoordinator } from '../../coordinator/main.ts';
import { sqliteStore } from '../../coordinator/store/sqlite.ts';
import { type Clock, systemClock } from '../../shared/clock.ts';
import {
  type FaultyOptions,
  faultyStore,
  type Kill,
  type Mutation,
} from './coordinator-kill-store.ts';

export interface Host {
  readonly url: string;
  /** As the CLI reads it. */
  context(): Promise<{ readonly ca: string; readonly credential: string }>;
  /** Where the state of the dead, or of the living, is. */
  stateDir(): string;
  /** Starts the first one; when that dies as it starts, the next. */
  start(): Promise<void>;
  /** After a death: waits for its end, and returns where the state that it left is. */
  dead(): Promise<string>;
  /** Starts the next one, which is not killed. */
  revive(): Promise<void>;
  /** Moves the clock of the coordinator, and of its next ones. */
  advance(ms: number): Promise<void>;
  /** What is done every half minute is done now. */
  tick(): Promise<void>;
  /** The newest revision that anybody was told of. */
  acknowledged(): number;
  deaths(): number;
  /** Ends the living; the state stays until `remove`. */
  stop(): Promise<void>;
  remove(): Promise<void>;
}

export interface HostOptions {
  readonly kill: Kill;
  readonly mutation?: Mutation;
}

const PERIOD_MS = 15_000;

/** The real time and what was added; periods end at a tick, and not by themselves. */
export function tickingClock(offset: () => number, onTick: (listener: () => void) => void): Clock {
  return {
    ...systemClock,
    now: () => systemClock.now() + offset(),
    sleep: (ms, signal) =>
      ms < PERIOD_MS
        ? systemClock.sleep(ms, signal)
        : new Promise((resolve, reject) => {
            onTick(resolve);
            signal.addEventListener('abort', () => reject(signal.reason), { once: true });
          }),
  };
}

export const startOptions = (stateDir: string, port: number) => ({
  stateDir,
  listen: `127.0.0.1:${port}`,
  bootListen: null,
  stopSeconds: 0,
});

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}

export async function localHost({ kill, mutation }: HostOptions): Promise<Host> {
  const root = await mkdtemp(join(tmpdir(), 'billet-kill-'));
  const port = await freePort();
  let [offset, generation, acknowledged, deaths] = [0, 0, 0, 0];
  let listeners: (() => void)[] = [];
  let living: Coordinator | null = null;
  let burial: Promise<void> = Promise.resolve();
  const stateDir = () => join(root, `state-${generation}`);
  const clock = tickingClock(
    () => offset,
    (one) => listeners.push(one),
  );

  async function life(when: Kill): Promise<void> {
    const grave = Promise.withResolvers<never>();
    grave.promise.catch(() => null);
    const options: Pick<FaultyOptions, 'kill' | 'onAcknowledged' | 'buried' | 'mutation'> = {
      kill: when,
      mutation,
      buried: grave.promise,
      onAcknowledged: (revision) => {
        acknowledged = Math.max(acknowledged, revision);
      },
    };
    const openStore = (path: string) => {
      const real = sqliteStore({ path });
      const die = () => {
        deaths += 1;
        const before = stateDir();
        generation += 1;
        cpSync(before, stateDir(), { recursive: true });
        burial = bury(living, () => grave.reject(new Error('killed'))).then(() => real.close());
      };
      return faultyStore(real, { ...options, die });
    };
    living = await startCoordinator(startOptions(stateDir(), port), {
      clock,
      log: silentLog,
      openStore,
    });
  }

  async function revive(): Promise<void> {
    await burial;
    listeners = [];
    await life({ at: 0, side: 'before' });
  }

  return {
    url: `https://127.0.0.1:${port}`,
    context: async () => JSON.parse(await readFile(join(stateDir(), 'admin.json'), 'utf8')),
    stateDir,
    dead: () => burial.then(stateDir),
    start: () => life(kill).catch((error) => (deaths > 0 ? revive() : Promise.reject(error))),
    revive,
    async advance(ms) {
      offset += ms;
    },
    async tick() {
      for (const wake of listeners.splice(0)) wake();
    },
    acknowledged: () => acknowledged,
    deaths: () => deaths,
    async stop() {
      // A stop has a commit, too.
      const before = deaths;
      await living?.stop().catch((error) => assert.ok(deaths > before, String(error)));
      living = null;
      await burial;
    },
    remove: () => rm(root, { recursive: true, maxRetries: 3 }),
  };
}

/** Its connections break first; only then does what waits in it end. */
async function bury(living: Coordinator | null, release: () => void): Promise<void> {
  const stopped = living?.stop().catch(() => null);
  await systemClock.sleep(20, new AbortController().signal);
  release();
  await stopped;
}

export type ToChild = { readonly advance: number } | { readonly tick: true };

/** A real process each time: it gets SIGKILL from itself at the commit. */
export async function processHost({ kill }: HostOptions): Promise<Host> {
  const root = await mkdtemp(join(tmpdir(), 'billet-kill-'));
  const port = await freePort();
  const script = join(import.meta.dirname, 'coordinator-kill-child.ts');
  let [offset, acknowledged, deaths] = [0, 0, 0];
  let child: ChildProcess | null = null;
  let gone: Promise<unknown> = Promise.resolve();

  /** False when it died before it served. */
  async function life({ at, side }: Kill): Promise<boolean> {
    const born = fork(script, [root, String(port), String(at), side, String(offset)], {
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    });
    child = born;
    gone = once(born, 'exit').then(([, signal]) => {
      if (signal === 'SIGKILL') deaths += 1;
    });
    return await new Promise<boolean>((resolve) => {
      born.on('message', (message: { serving?: true; heard?: true; revision?: number }) => {
        if (message.serving) resolve(true);
        if (message.heard) born.emit('heard');
        acknowledged = Math.max(acknowledged, message.revision ?? 0);
      });
      void gone.then(() => resolve(false));
    });
  }
  async function revive(): Promise<void> {
    await gone;
    if (!(await life({ at: 0, side: 'before' }))) throw new Error('it did not come back');
  }
  async function tell(message: ToChild): Promise<void> {
    if (!child?.connected) return;
    const heard = new AbortController();
    const answer = once(child, 'heard', { signal: heard.signal }).catch(() => null);
    child.send(message);
    await Promise.race([answer, gone]);
    heard.abort();
  }
  return {
    url: `https://127.0.0.1:${port}`,
    context: async () => JSON.parse(await readFile(join(root, 'admin.json'), 'utf8')),
    stateDir: () => root,
    dead: () => gone.then(() => root),
    start: async () => ((await life(kill)) ? undefined : await revive()),
    revive,
    async advance(ms) {
      offset += ms;
      await tell({ advance: offset });
    },
    tick: () => tell({ tick: true }),
    acknowledged: () => acknowledged,
    deaths: () => deaths,
    async stop() {
      child?.kill('SIGTERM');
      await gone;
    },
    remove: () => rm(root, { recursive: true }),
  };
}
