// `billet apply -f DIR`: brings the coordinator's records to what documents say.

import { Command } from 'commander';
import { BilletError } from '#shared/errors.ts';
import { ResourceName } from '#shared/schema/ids.ts';
import { applyPlan } from '../apply/apply.ts';
import { readDocuments } from '../apply/documents.ts';
import { observe } from '../apply/observe.ts';
import { type Plan, planApply } from '../apply/plan.ts';
import { diffLines, stepLines, summary } from '../apply/render.ts';
import { resolveDocuments } from '../apply/resolve.ts';
import type { CommandIo } from '../command-io.ts';
import { emit } from '../output.ts';
import {
  parseArgument,
  type RemoteOptions,
  withCoordinator,
  withExamples,
  withRemoteOptions,
} from '../remote.ts';
import { resolver } from '../resolver.ts';

type Options = RemoteOptions & {
  readonly file: string;
  readonly dryRun?: boolean;
  readonly set?: string;
  readonly prune?: boolean;
};

export function applyCommand(io: CommandIo): Command {
  const apply = new Command('apply')
    .description(
      'Bring records to what YAML documents say: the plan is shown first, and applying it again changes nothing. Tags are resolved now: records are pinned to digests.',
    )
    .requiredOption('-f, --file <path>', 'a YAML file, or a directory of them')
    .option('--dry-run', 'show the differences, and change nothing')
    .option('--set <name>', 'name of this set of documents: what it makes is marked with it')
    .option('--prune', 'delete what an earlier apply of the set made and is no longer in it');
  withRemoteOptions(apply).action((options: Options) => run(io, options));
  return withExamples(
    apply,
    'billet apply -f fleet/ --dry-run',
    'billet apply -f fleet/ --set fleet --prune',
  );
}

async function run(io: CommandIo, options: Options): Promise<void> {
  const set = options.set === undefined ? null : parseArgument(ResourceName, options.set, '--set');
  if (options.prune === true && set === null)
    throw new BilletError('ARGUMENT_INVALID', '--prune needs --set', {
      hint: 'name the set whose earlier records may go: --set fleet --prune',
    });
  const json = options.json === true;
  const read = await readDocuments(options.file);
  await withCoordinator(io, options, async (coordinator) => {
    const documents = await resolveDocuments(read, resolver(io, coordinator));
    const { existing, prune } = await observe(coordinator, documents, options.prune ? set : null);
    const plan = planApply(documents, existing, prune);
    const say = (lines: readonly string[]) => emit(io, false, null, () => lines);
    if (options.dryRun === true) {
      emit(io, json, plan, () => [...diffLines(plan, io), summary(plan)]);
      return;
    }
    if (!json) say([...stepLines(plan, io.columns), summary(plan)]);
    await applyPlan(coordinator, plan, set);
    emit(io, json, plan, () => [finished(plan)]);
  });
}

const finished = ({ steps }: Plan): string =>
  steps.length === 0 ? 'nothing to do' : `done: ${steps.length} of ${steps.length}`;
