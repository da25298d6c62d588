// Lets the reconcile loop look again now, and says what came of it. Whether the node is then as it should
// be shows in its heartbeats.

import { BilletError } from '#shared/errors.ts';
import type { ModuleName } from '#shared/schema/module.ts';
import type { LoopStatus } from '../reconcile/loop.ts';
import type { TaskKind } from './kind.ts';
import { specOf } from './spec.ts';

export interface ReconcileTaskDeps {
  readonly order: (restart: readonly ModuleName[], signal: AbortSignal) => Promise<LoopStatus>;
}

export function reconcileTask({ order }: ReconcileTaskDeps): TaskKind {
  return {
    kind: 'reconcile',
    async run(task, signal) {
      const { restart } = specOf(task, 'reconcile');
      const { lastReconcile } = await order(restart, signal);
      if (lastReconcile === undefined)
        throw new BilletError('TASK_FAILED', 'the pass left no result', {
          hint: 'on the node: journalctl -u billet-agent',
        });
      const { outcome, steps, code, message } = lastReconcile;
      if (outcome === 'failed')
        return {
          outcome,
          ...(code === undefined ? {} : { code }),
          ...(message === undefined ? {} : { message }),
        };
      return { outcome: 'succeeded', message: `${outcome}, ${steps} steps` };
    },
  };
}
