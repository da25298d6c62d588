// One life of an agent on a NixOS node, as far as its system goes: observe, plan, act, until nothing is
// left to do. What fails ends it, as it would end a cycle of the reconcile loop.

import { closureSteps } from '../../agent/nix/plan.ts';
import type { Clock } from '../../shared/clock.ts';
import { systemClock } from '../../shared/clock.ts';
import type { NixClosure } from '../../shared/schema/nix-closure.ts';
import type { NixKey } from '../../shared/schema/nix-keys.ts';
import type { NixNode } from './nix-node-fixture.ts';

export interface Life {
  readonly closure: NixClosure;
  readonly keys: readonly NixKey[];
  readonly rejected?: boolean;
  readonly before?: (what: string) => Promise<void>;
}

/** Waits as the real one does, twenty times as fast. */
const hasty: Clock = {
  ...systemClock,
  sleep: (ms, signal) => systemClock.sleep(ms / 20, signal),
};

export async function live(
  node: NixNode,
  { closure, keys, rejected, before }: Life,
): Promise<void> {
  const { signal } = new AbortController();
  const system = await node.live({ keys, clock: hasty, ...(before ? { before } : {}) });
  const wanted = { generation: 2, closure, rejected: rejected ?? false, settled: false };
  for (;;) {
    const [step] = closureSteps(wanted, await system.observe(closure));
    if (step === undefined) return;
    if (step.kind === 'pull-closure') await system.pull(step.closure, signal);
    if (step.kind === 'activate-closure') await system.activate(step.order, signal);
    if (step.kind === 'collect-closures') await system.collect(step.keep, signal);
  }
}
