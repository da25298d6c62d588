// `billet work`: what builds and attempts have left on this disk, whether it is within its budget, and
// how to have less of it. Removes nothing unless it is told to.

import { join, resolve } from 'node:path';
import { Command } from 'commander';
import { z } from 'zod';
import { cacheDirOf, IN_USE_MS } from '#shared/build-cache.ts';
import { BilletError } from '#shared/errors.ts';
import type { CommandIo } from '../command-io.ts';
import { bytes, emit } from '../output.ts';
import { parseArgument, withExamples } from '../remote.ts';
import { removeItems } from '../work/apply.ts';
import { type Budget, readBudget } from '../work/budget.ts';
import { type AreaSum, areaSums, type Judgement, judgeItems } from '../work/gc.ts';
import { observeWork, type Places, realFolder } from '../work/observe.ts';
import { pruneLines, removedLines, statusLines } from '../work/view.ts';

interface WorkOptions {
  readonly work: string;
  readonly cache?: string;
  readonly cacheMib?: string;
  readonly evidenceMib?: string;
  readonly outputMib?: string;
  readonly keep?: string;
  readonly apply?: boolean;
  readonly json?: boolean;
}

/** Made anew by the tool that wrote them; beside the folder of evidence. */
const OUTPUTS = ['coverage', 'node_modules/.cache/billet'];
const ABOUT = `
It looks after the build cache ($XDG_CACHE_HOME/billet), folders of evidence
named by a time below DIR, and coverage/ and compiled code beside DIR.
DIR/budget.json has the soft limits: {"format": 1, "cacheBytes": …,
"evidenceBytes": …, "outputBytes": …, "keep": …}. What was used in the last
two hours, what a running build fills, what \`latest\` points at, and signing
keys always stay.`;

export function workCommand(io: CommandIo): Command {
  const command = new Command('work').description(
    'Keep the disk that builds and attempts use within a budget.',
  );
  const status = command
    .command('status')
    .description('Show what there is, its age, and its budget.')
    .action(async (options: WorkOptions) => {
      const { sums, judgements } = await look(io, options);
      const value = { areas: sums, items: judgements.map(plain) };
      emit(io, options.json === true, value, () => statusLines(sums, judgements, io.columns));
    });
  const enforce = command
    .command('enforce')
    .description('Fail when an area is over its budget, and say what would help.')
    .action(async (options: WorkOptions) => {
      const { sums } = await look(io, options);
      emit(io, options.json === true, { areas: sums }, () => statusLines(sums, [], io.columns));
      assertWithin(sums);
    });
  const prune = command
    .command('prune')
    .description('Show what can go, the oldest of each kind; with --apply, remove it.')
    .option('--apply', 'remove it')
    .action((options: WorkOptions) => pruned(io, options));
  for (const each of [status, enforce, prune]) withLimits(each).addHelpText('after', ABOUT);
  withExamples(status, 'billet work status', 'billet work status --json');
  withExamples(enforce, 'billet work enforce', 'billet work enforce --cache-mib 4096');
  withExamples(prune, 'billet work prune', 'billet work prune --keep 1 --apply');
  return command;
}

const withLimits = (command: Command): Command =>
  command
    .option('--work <dir>', 'where evidence is', 'work')
    .option('--cache <dir>', "the build cache (default: this user's)")
    .option('--cache-mib <n>', 'budget of the cache')
    .option('--evidence-mib <n>', 'budget of evidence')
    .option('--output-mib <n>', 'budget of what tools write anew')
    .option('--keep <n>', 'newest of each kind that stay')
    .option('--json', 'print JSON for programs');

interface Looked {
  readonly places: Places;
  readonly budget: Budget;
  readonly judgements: readonly Judgement[];
  readonly sums: readonly AreaSum[];
}

async function look(io: CommandIo, options: WorkOptions): Promise<Looked> {
  const budget = await readBudget(options.work, flagsOf(options));
  const beside = await realFolder(resolve(options.work, '..'));
  const places = {
    cacheDir: await realFolder(options.cache ?? cacheDirOf(io.env)),
    workDir: await realFolder(options.work),
    outputs: OUTPUTS.map((path) => join(beside, path)),
  };
  const items = await observeWork(places, io.clock);
  const judgements = judgeItems(items, { keep: budget.keep, inUseMs: IN_USE_MS });
  return { places, budget, judgements, sums: areaSums(judgements, budget.limitBytes) };
}

async function pruned(io: CommandIo, options: WorkOptions): Promise<void> {
  const { places, judgements } = await look(io, options);
  const json = options.json === true;
  if (options.apply !== true) {
    const going = judgements.filter(({ goes }) => goes).map(plain);
    emit(io, json, { applied: false, items: going }, () => pruneLines(judgements, io.columns));
    return;
  }
  const { clock, signal } = io;
  const now = () => clock.now();
  const removed = await removeItems(judgements, places, { now, inUseMs: IN_USE_MS, signal });
  emit(io, json, { applied: true, items: removed }, () => removedLines(removed));
}

function assertWithin(sums: readonly AreaSum[]): void {
  const over = sums.filter((sum) => sum.over);
  if (over.length === 0) return;
  const told = over.map((sum) => `${sum.area} ${bytes(sum.bytes)} of ${bytes(sum.limitBytes)}`);
  const freeable = over.reduce((all, sum) => all + sum.freeableBytes, 0);
  throw new BilletError('OVER_BUDGET', `over the budget: ${told.join(', ')}`, {
    hint:
      freeable > 0
        ? `billet work prune --apply frees ${bytes(freeable)}; with --keep 1 more`
        : 'nothing of it can go now: raise the limit in budget.json, or try again in two hours',
    details: { areas: over },
  });
}

function flagsOf(options: WorkOptions) {
  const mib = (text: string | undefined, what: string) =>
    text === undefined
      ? undefined
      : parseArgument(z.coerce.number().int().positive(), text, what) * 1024 * 1024;
  const flags = {
    cache: mib(options.cacheMib, '--cache-mib'),
    evidence: mib(options.evidenceMib, '--evidence-mib'),
    output: mib(options.outputMib, '--output-mib'),
    keep:
      options.keep === undefined
        ? undefined
        : parseArgument(z.coerce.number().int().min(1).max(1000), options.keep, '--keep'),
  };
  return Object.fromEntries(Object.entries(flags).filter(([, value]) => value !== undefined));
}

const plain = ({ item, goes, why }: Judgement) => ({ ...item, goes, why });
