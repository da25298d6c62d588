// How an instance looks to a person. Text only; asks nobody.

import type { Instance } from '#shared/schema/records.ts';
import type { Quiet, Signal } from '#shared/schema/signal.ts';
import { ago, bytes, type Column, listing, shortDigest, table } from '../output.ts';
import { drainLines } from './drain.ts';
import { installPairs, refusalLines, stateText, stepText } from './install.ts';

export const instanceColumns = (nowMs: number): readonly Column<Instance>[] => [
  { header: 'INSTANCE', value: ({ id }) => id },
  {
    header: 'NODE',
    value: ({ node, pool }) => (pool === null ? node : `warm in ${pool}`),
    shrinks: true,
  },
  { header: 'STATE', value: stateText },
  { header: 'PHASE', value: (one) => stepText(one) ?? one.heartbeat?.phase ?? '-' },
  { header: 'GEN', value: generations },
  { header: 'LINK', value: ({ connected }) => (connected ? 'up' : 'down') },
  { header: 'SEEN', value: ({ lastSeenAt }) => ago(lastSeenAt, nowMs) },
];

/** `running/wanted`, or one number when they agree. */
function generations({ generation, heartbeat }: Instance): string {
  if (heartbeat === null) return `-/${generation}`;
  return heartbeat.generation === generation
    ? String(generation)
    : `${heartbeat.generation}/${generation}`;
}

export interface InstanceSight {
  readonly instance: Instance;
  /** Those of it that are not resolved. */
  readonly signals: readonly Signal[];
  readonly quiet: Quiet;
}

export function instanceLines(
  { instance, signals, quiet }: InstanceSight,
  nowMs: number,
  width: number,
): readonly string[] {
  const { until, by, reason } = quiet;
  const silence: [string, string][] =
    until === null
      ? []
      : [['quiet', `until ${until}, by ${by}${reason === '' ? '' : `: ${reason}`}`]];
  return [
    ...listing([...mainPairs(instance, nowMs), ...silence, ...factPairs(instance)], width),
    ...refusalLines(instance, width),
    ...signals.flatMap((one) => signalNotice(one, nowMs, width)),
    ...(instance.drain === null ? [] : ['', ...drainLines(instance.drain, nowMs, width)]),
    ...moduleLines(instance, width),
    ...conditionLines(instance, width),
  ];
}

const signalNotice = (signal: Signal, nowMs: number, width: number): readonly string[] => [
  '',
  ...listing(
    [
      ['signal', `${signal.id}, ${signal.state} for ${ago(signal.changedAt, nowMs)}`],
      ['', signal.cause],
      ['next', signal.hint],
    ],
    width,
  ),
];

function mainPairs(instance: Instance, nowMs: number): [string, string][] {
  const { heartbeat, certificate } = instance;
  const pairs: [string, string][] = [
    ['instance', instance.id],
    instance.pool === null ? ['node', instance.node] : ['warm in', instance.pool],
    ['state', `${stateText(instance)} for ${ago(instance.stateSince, nowMs)}`],
  ];
  pairs.push(['provider', `${instance.provider}, ${instance.lifecycleClass}`]);
  pairs.push(...machinePairs(instance));
  if (instance.preemptedAt !== null) pairs.push(['preempted', `at ${instance.preemptedAt}`]);
  if (instance.cameBack !== null)
    pairs.push([
      'came back',
      `after its end, last ${ago(instance.cameBack.lastAt, nowMs)} ago: ${instance.cameBack.how}`,
    ]);
  const problem = instance.install?.report?.problem;
  if (instance.reason !== '' && instance.reason !== `${problem?.code}: ${problem?.text}`)
    pairs.push(['reason', instance.reason]);
  pairs.push(...installPairs(instance, nowMs));
  pairs.push(['link', linkText(instance, nowMs)]);
  pairs.push(['generation', generationText(instance)]);
  if (instance.ahead !== null)
    pairs.push(
      ['ahead', `since ${ago(instance.ahead.since, nowMs)}; ${instance.ahead.condition.text}`],
      ['next', instance.ahead.condition.hint],
    );
  for (const { generation, reason } of instance.rejected)
    pairs.push(['rejected', `${generation}: ${reason}`]);
  if (instance.bootOrdered) pairs.push(['boot', 'the next network boot gets a token']);
  if (heartbeat !== null) {
    pairs.push(['phase', heartbeat.phase], ['boot id', heartbeat.bootId]);
    pairs.push(['uptime', `${Math.round(heartbeat.uptimeSeconds)} s`]);
    pairs.push(['agent', heartbeat.agentVersion]);
    if (heartbeat.systemImage !== undefined) pairs.push(['system image', heartbeat.systemImage]);
    const last = heartbeat.lastReconcile;
    if (last !== undefined)
      pairs.push(['reconcile', [last.outcome, last.code, last.message].filter(Boolean).join(' ')]);
  }
  if (certificate !== null)
    pairs.push([
      'certificate',
      `${certificate.serial}, until ${certificate.notAfter.slice(0, 16)}`,
    ]);
  return pairs;
}

function machinePairs({ machine }: Instance): [string, string][] {
  if (machine === null) return [];
  const { operation, state, mac, fault, attempts } = machine;
  return [
    ['at provider', `${operation}, ${state ?? 'not asked for yet'}, ${mac}`],
    ...(fault === null
      ? []
      : ([
          ['fault', `${fault.code}: ${fault.message} (${attempts} tries)`],
          ['hint', fault.hint],
        ] as [string, string][])),
  ];
}

const linkText = ({ connected, lastSeenAt }: Instance, nowMs: number) =>
  connected
    ? 'up'
    : `down, seen ${lastSeenAt === null ? 'never' : `${ago(lastSeenAt, nowMs)} ago`}`;

function generationText({ generation, confirmed, heartbeat }: Instance): string {
  const parts = [`wanted ${generation}`];
  if (heartbeat !== null) parts.push(`runs ${heartbeat.generation}`);
  if (heartbeat?.staged !== undefined) parts.push(`staged ${heartbeat.staged} for the next boot`);
  parts.push(confirmed === null ? 'none confirmed' : `confirmed ${confirmed}`);
  return parts.join(', ');
}

function factPairs({ facts }: Instance): [string, string][] {
  if (facts === null) return [];
  const { dmi } = facts;
  const machine = [dmi.vendor, dmi.product, dmi.serial].filter(Boolean).join(' ');
  return [
    ...(machine === '' ? [] : ([['machine', machine]] as [string, string][])),
    ['cpu', `${facts.cpuCount} × ${facts.cpuModel ?? facts.architecture}`],
    ['memory', bytes(facts.memoryBytes)],
    ['kernel', facts.kernelRelease],
    ['firmware', `${facts.firmware}, Secure Boot ${facts.secureBoot ? 'on' : 'off'}`],
    ['macs', facts.macs.join(' ')],
    ['disks', facts.disks.map((disk) => `${disk.name} ${bytes(disk.sizeBytes)}`).join(', ') || '-'],
  ];
}

function moduleLines({ heartbeat }: Instance, width: number): readonly string[] {
  if (heartbeat?.modules === undefined || heartbeat.modules.length === 0) return [];
  const rows = table(
    heartbeat.modules,
    [
      { header: 'MODULE', value: ({ name }) => name, shrinks: true },
      { header: 'VERSION', value: ({ version }) => version, shrinks: true },
      { header: 'STATE', value: ({ state }) => state },
      { header: 'IMAGE', value: ({ image }) => shortDigest(image) },
    ],
    width,
    '',
  );
  return ['', ...rows];
}

const conditionLines = ({ heartbeat }: Instance, width: number): readonly string[] =>
  (heartbeat?.conditions ?? []).flatMap(({ code, text, hint }) => [
    '',
    ...listing(
      [
        ['condition', code],
        ['', text],
        ['hint', hint],
      ],
      width,
    ),
  ]);
