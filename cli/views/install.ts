// How an installation looks to a person: how far it is, or why it waits and what to run next. Text only;
// asks nobody.

import { describeSelector } from '#shared/install/match-disk.ts';
import type { InstallPreview } from '#shared/schema/install-preview.ts';
import type { InstallCandidate } from '#shared/schema/install-report.ts';
import type { Instance, InstanceInstall } from '#shared/schema/records.ts';
import { ago, bytes, clean, listing, table, wrap } from '../output.ts';

type Report = NonNullable<InstanceInstall['report']>;

const percent = (progress: number) => `${Math.floor(progress * 100)}%`;

/** `installing 40%` */
export function stateText({ state, install }: Pick<Instance, 'state' | 'install'>): string {
  const report = install?.report;
  return state === 'installing' && report?.state === 'installing'
    ? `${state} ${percent(report.progress)}`
    : state;
}

/** The step that runs, or `refused`, `failed`; null where it does not install. */
export const stepText = ({ state, install }: Pick<Instance, 'state' | 'install'>): string | null =>
  state !== 'installing' || !install?.report
    ? null
    : install.report.state === 'installing'
      ? (install.report.step ?? 'begins')
      : install.report.state;

export function installPairs(instance: Instance, nowMs: number): [string, string][] {
  const { install } = instance;
  if (install === null) return [];
  const { event, report, doneAt, orderedAt, wipeId, diskSerial } = install;
  const over = [
    ...(diskSerial === null ? [] : [`on the disk with serial ${diskSerial}`]),
    ...(wipeId === null ? [] : [`giving up ${wipeId}`]),
  ];
  const order = [`${event}, ordered ${ago(orderedAt, nowMs)} ago`, ...over].join(', ');
  const pairs: [string, string][] = [['installs', order]];
  if (doneAt !== null)
    pairs.push(['installed', `${ago(doneAt, nowMs)} ago${onDisk(report)}; boots from there`]);
  else if (report !== null) pairs.push(['install', progressText(report, nowMs)]);
  else pairs.push(['install', 'not begun: boot it from the medium, or over the network']);
  if (report?.problem) {
    pairs.push(['problem', `${report.problem.code}: ${report.problem.text}`]);
    pairs.push(['hint', report.problem.hint]);
  }
  const next = doneAt === null && report ? nextOf(instance.node, report) : null;
  return next === null ? pairs : [...pairs, ['next', next]];
}

const onDisk = (report: Report | null) => (report?.disk ? ` on ${diskName(report.disk)}` : '');

const diskName = ({
  name,
  serial,
}: {
  readonly name: string;
  readonly serial?: string | undefined;
}) => (serial === undefined ? name : `${name} (serial ${serial})`);

function progressText(report: Report, nowMs: number): string {
  const { state, step, progress, at } = report;
  const how = state === 'installing' ? `${step ?? 'begins'}, ${percent(progress)} done` : state;
  return `${how}${onDisk(report)}, said ${ago(at, nowMs)} ago`;
}

/** The one command that fits what is wrong; null where the hint says more. */
function nextOf(node: string, { state, problem, candidates, disk }: Report): string | null {
  if (state !== 'refused') return null;
  const held = candidates.find(
    (each) => each.matches && each.wipeId && (!disk || each.disk.name === disk.name),
  );
  if (problem?.code === 'INSTALL_DISK_HOLDS_DATA' && held?.wipeId)
    return `if what is on ${held.disk.name} may be lost: billet instance install ${node} --wipe ${held.wipeId}`;
  const named = candidates.find((each) => each.disk.serial !== undefined)?.disk.serial;
  return named === undefined
    ? null
    : `mend the plan, or name the disk: billet instance install ${node} --disk-serial ${named}`;
}

/** Why each disk is, or is not, the one: a line of what it is, and the reason below it. */
function candidateLines(candidates: readonly InstallCandidate[], width: number): readonly string[] {
  const [header = '', ...rows] = table(
    candidates,
    [
      { header: 'DISK', value: ({ disk }) => disk.name },
      { header: 'SIZE', value: ({ disk }) => bytes(disk.sizeBytes) },
      { header: 'SERIAL', value: ({ disk }) => disk.serial ?? '-', shrinks: true },
      { header: 'MEANT', value: ({ matches }) => (matches ? 'yes' : 'no') },
      { header: 'WIPE ID', value: ({ wipeId }) => wipeId ?? '-' },
    ],
    width,
    'it has told of no disk',
  );
  return [
    header,
    ...rows.flatMap((row, at) => [
      row,
      ...wrap(clean(candidates[at]?.reason ?? ''), width - 2).map((line) => `  ${line}`),
    ]),
  ];
}

/** Of an instance that waits. */
export const refusalLines = ({ state, install }: Instance, width: number): readonly string[] => {
  const candidates = install?.report?.candidates ?? [];
  return state !== 'installing' || candidates.length === 0
    ? []
    : ['', ...candidateLines(candidates, width)];
};

export function previewLines(
  instance: Pick<Instance, 'id' | 'node'>,
  { plan, chosen, candidates, problem, seen, seenAt }: InstallPreview,
  width: number,
  nowMs: number,
): readonly string[] {
  const told =
    seen === 'report'
      ? `as its installer saw them ${ago(seenAt, nowMs)} ago`
      : 'as it told when it last enrolled or renewed; what is on them only it sees';
  const pairs: [string, string][] = [
    ['instance', `${instance.id} (${instance.node})`],
    ['profile', plan.profile],
    ['disk', describeSelector(plan.disk)],
    ['may wipe', plan.wipeId ?? 'nothing: only an empty disk is written to'],
    ['disks', told],
    ['chosen', chosen === null ? 'none' : diskName(chosen)],
  ];
  if (problem !== null)
    pairs.push(['problem', `${problem.code}: ${problem.text}`], ['hint', problem.hint]);
  return [
    ...listing(pairs, width),
    '',
    ...candidateLines(candidates, width),
    '',
    'Nothing was ordered.',
  ];
}
