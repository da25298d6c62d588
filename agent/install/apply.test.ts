import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BilletError } from '#shared/errors.ts';
import { INSTALL_STEPS, type InstallStep } from '#shared/schema/install-report.ts';
import { applySteps } from './apply.ts';
import type { StepContext, StepTable } from './step.ts';

const never = new AbortController().signal;

/** Steps that only say that they were taken, and a journal in memory. */
function fixture(done: readonly InstallStep[], failing: InstallStep | null = null) {
  const taken: InstallStep[] = [];
  const notes: (readonly InstallStep[])[] = [];
  const take = (step: InstallStep) => async () => {
    if (step === failing) throw new Error('the cable fell out');
    taken.push(step);
  };
  const table = Object.fromEntries(INSTALL_STEPS.map((step) => [step, take(step)]));
  const context = {
    on: { disk: { name: 'sda' } },
    ports: { observeDisks: async () => [] },
    journal: {
      record: { done },
      note: async (change: { done: InstallStep[] }) => notes.push(change.done),
    },
  } as unknown as StepContext;
  return { taken, notes, context, table: table as unknown as StepTable };
}

const news = { step: async () => undefined };
const blame = (error: unknown, { step }: { readonly step: InstallStep }) =>
  new BilletError('INSTALL_STEP_FAILED', `${step}: ${String(error)}`, { hint: 'attach it' });

test('each step is in the journal before the next begins, and what is taken again is not done', async () => {
  const { taken, notes, context, table } = fixture(['wipe', 'partition', 'format']);
  await applySteps(context, ['partition', 'format'], { table, blame }, news, never);
  assert.deepEqual(taken, ['partition', 'format']);
  assert.deepEqual(notes, [
    ['wipe', 'partition'],
    ['wipe', 'partition', 'format'],
  ]);
});

test('a step that fails is the last one, and its error says what the profile makes of it', async () => {
  const { taken, notes, context, table } = fixture([], 'partition');
  const applied = applySteps(context, INSTALL_STEPS, { table, blame }, news, never);
  await assert.rejects(applied, { code: 'INSTALL_STEP_FAILED', message: /^partition: .*cable/ });
  assert.deepEqual([taken, notes], [['wipe'], [['wipe']]]);
});
