// Does the steps of a plan, one after the other. Decides nothing: what has changed
// since the plan was made ends it.

import { isDeepStrictEqual } from 'node:util';
import { BilletError } from '#shared/errors.ts';
import type { Coordinator } from '../client.ts';
import { recordRoutes } from './kinds.ts';
import type { Plan, Step } from './plan.ts';

/** Of one change: a class, its pool and their template may each move a node once. */
const ATTEMPTS = 5;

/**
 * Throws what the coordinator says at the first step that it refuses, with how many were done; those
 * stay done, and the same documents applied again go on from there.
 */
export async function applyPlan(
  coordinator: Coordinator,
  { steps }: Plan,
  set: string | null,
): Promise<void> {
  for (const [count, step] of steps.entries()) {
    try {
      await take(coordinator, step, set);
    } catch (error) {
      throw error instanceof BilletError ? stopped(error, step, count, steps.length) : error;
    }
  }
}

async function take(coordinator: Coordinator, step: Step, set: string | null): Promise<void> {
  const { kind, name } = step;
  const { create, remove } = recordRoutes(kind);
  const params = { name };
  switch (step.action) {
    case 'create':
      await coordinator.call(create, { body: { name, spec: step.spec, set } });
      return;
    case 'change':
      await change(coordinator, step);
      return;
    case 'delete':
      await coordinator.call(remove, { params });
  }
}

/**
 * A record has another revision also when an earlier step moved it: a node, with its class. That is nobody's
 * change as long as what is written there is what the plan has seen. Else CONFLICT.
 */
async function change(
  coordinator: Coordinator,
  { kind, name, before, spec, revision: seen }: Extract<Step, { action: 'change' }>,
): Promise<void> {
  const { get, put } = recordRoutes(kind);
  const params = { name };
  let revision = seen;
  for (let left = ATTEMPTS - 1; ; left -= 1) {
    try {
      await coordinator.call(put, { params, body: spec, ifMatch: `"${revision}"` });
      return;
    } catch (error) {
      if (left === 0 || !(error instanceof BilletError) || error.code !== 'CONFLICT') throw error;
      const now = await coordinator.call(get, { params });
      if (now.revision === revision || !isDeepStrictEqual(now.spec, before)) throw error;
      ({ revision } = now);
    }
  }
}

function stopped(error: BilletError, { kind, name }: Step, done: number, all: number): BilletError {
  const hint =
    error.code === 'CONFLICT'
      ? `${error.hint}. Another operator may have been first: \`billet apply --dry-run\` shows what is left`
      : error.hint;
  return new BilletError(
    error.code,
    `${kind}/${name}: ${error.message} (${done} of ${all} steps were done)`,
    {
      hint,
      cause: error,
      details: { ...error.details, done, steps: all },
    },
  );
}
