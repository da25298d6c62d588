// The reconcile loop on a node in a directory, for tests: real journal, state and services.

import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import type { Clock } from '#shared/clock.ts';
import { BilletError } from '#shared/errors.ts';
import type { Desired } from '#shared/schema/desired.ts';
import type { Units } from '../drivers/units.ts';
import type { NixSystem } from '../nix/system.ts';
import { openJournal } from './journal.ts';
import { type LoopStatus, type ReconcileLoop, reconcileLoop } from './loop.ts';
import { services } from './services.ts';
import { openState, type StateFiles } from './state.ts';
import {
  type Before,
  envelopeOf,
  INSTANCE,
  type TestModule,
  type TestNode,
  testNode,
} from './testing.ts';
import type { Held, Observed } from './world.ts';

export const testClock: Clock = {
  now: () => Date.UTC(2026, 10, 21),
  monotonic: () => 0,
  sleep: (ms, signal) => setTimeout(Math.min(ms, 5), undefined, { signal }),
};

export interface TestAgent {
  /** What its services stand on; tests may put others in their place. */
  readonly services: { readonly units: Units };
  readonly loop: ReconcileLoop;
  readonly node: TestNode;
  readonly state: StateFiles;
  desired: Desired;
  confirmed: number | null;
  rejected: number[];
  /** The coordinator's last good generation. */
  good: Desired | null;
  /** What a drain keeps from running. */
  held: Held;
  /** Names of modules whose probes fail. */
  readonly failing: Set<string>;
  /** Kinds of the steps that were done. */
  readonly done: string[];
  close(): Promise<void>;
}

export interface TestAgentOptions {
  readonly dir: string;
  readonly modules: readonly TestModule[];
  readonly desired: Desired;
  readonly booted?: Observed['booted'];
  readonly bootedGeneration?: number;
  readonly before?: Before;
  /** Without it, the machine runs no NixOS. */
  readonly nix?: NixSystem;
  /** After each cycle. */
  readonly onStatus?: (status: LoopStatus) => void;
}

export async function testAgent(options: TestAgentOptions): Promise<TestAgent> {
  const { dir } = options;
  const runDir = join(dir, 'run');
  const stateDir = join(dir, 'state');
  await mkdir(stateDir, { recursive: true });
  const bare = testNode(dir, options.modules, options.before);
  const node = { ...bare, nix: options.nix ?? bare.nix };
  const state = await openState({ stateDir, runDir });
  const journal = await openJournal(join(runDir, 'journal'));
  const failing = new Set<string>();
  const probe = async ({ name }: { readonly name: string }) => {
    if (!failing.has(name)) return;
    throw new BilletError('PROBE_FAILED', `${name} does not answer`, { hint: '' });
  };
  const done: string[] = [];
  const ground = { ...node, runDir, probe };
  const agent: Omit<TestAgent, 'loop'> = {
    services: ground,
    node,
    state,
    desired: options.desired,
    confirmed: null,
    rejected: [],
    good: null,
    held: 'nothing',
    failing,
    done,
    close: () => journal.close(),
  };
  const loop = reconcileLoop({
    clock: testClock,
    instance: INSTANCE,
    ports: node,
    services: services(ground),
    state,
    journal,
    booted: options.booted ?? null,
    merged: [],
    bootedGeneration: options.bootedGeneration ?? 0,
    probe,
    document: () => ({
      etag: '',
      reply: {
        envelope: envelopeOf(agent.desired),
        rejected: agent.rejected,
        good: agent.good && envelopeOf(agent.good),
      },
    }),
    confirmed: () => agent.confirmed,
    held: () => agent.held,
    onStatus: options.onStatus ?? (() => undefined),
    onDone: ({ kind }) => done.push(kind),
  });
  return Object.assign(agent, { loop });
}
