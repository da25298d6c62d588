// The part of a runbook that says what to do, phase by phase, with this template's own names, probes,
// services and deadlines. Text only.

import type { MachineClass } from '#shared/schema/class.ts';
import type { Probe } from '#shared/schema/module.ts';
import type { RunbookFacts, StateDeadline } from '#shared/schema/runbook.ts';
import { probeText } from './describe.ts';
import { code, commands, grid, joined, plain } from './markdown.ts';
import type { LabelledModule } from './modules.ts';

export const phases = (facts: RunbookFacts, modules: readonly LabelledModule[]): string =>
  joined(
    prepare(facts),
    create(facts),
    provision(facts),
    bootstrap(modules),
    running(facts, modules),
    drain(modules),
    decommission(facts, modules),
    stuck(facts),
  );

/** In single quotes, as a shell takes it. */
const quoted = (text: string): string =>
  /^[A-Za-z0-9_./:@=-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;

function prepare({ platform, publication }: RunbookFacts): string {
  if (platform === null || publication !== null) return '';
  return joined(
    '## Phase 0: publish a boot image',
    `Without one, no machine of ${code(platform.name)} is made.`,
    commands(
      `billet image push DIR ${platform.name}:1`,
      `billet publication create ${platform.name}-1 --platform ${platform.name} --boot-image ${platform.name}:1 --publish`,
    ),
  );
}

function create({ classes, pools, template }: RunbookFacts): string {
  const ways = [
    ...pools.map(({ name }) => `--pool ${name}`),
    ...classes
      .filter(({ name }) => !pools.some(({ spec }) => spec.class === name))
      .map(({ name }) => `--class ${name}`),
  ];
  const lines = ways.length === 0 ? [`--template ${template.name}`] : ways;
  return joined(
    '## Phase 1: create the node',
    'A record only; no machine is touched. The same command again changes nothing. The lifecycle class is fixed once the first instance exists.',
    commands(...lines.map((way) => `billet node create NAME ${way}`)),
  );
}

function provision({ classes, pools, instanceTypes, regions }: RunbookFacts): string {
  const providers = [...instanceTypes, ...regions].map(({ spec }) => spec.provider);
  const warm = pools.some(({ spec }) => spec.warm > 0);
  const installs = classes.filter(({ spec }) => spec.install !== null);
  const isManual = providers.length === 0 || providers.includes('manual');
  return joined(
    '## Phase 2: provision',
    commands(
      'billet capacity',
      ...(warm ? ['billet instance provision NAME --from-pool --wait'] : []),
      ...(providers.some((name) => name !== 'manual')
        ? ['billet instance provision NAME --wait']
        : []),
      ...(isManual ? ['billet instance create NAME   # then switch the machine on'] : []),
      ...(installs.length > 0
        ? ['billet instance install NAME --dry-run   # which disk is meant, once it enrolled']
        : []),
    ),
    'Up to 50 nodes stand in one call; more are refused as a whole (`BULK_LIMIT`).',
    ...installs.map(
      ({ name, spec }) =>
        `Machines of ${code(name)} are installed with ${code(spec.install?.profile ?? '')} when they boot from the medium (ISO, USB or network), once; exactly one disk may match the selector above. What is refused waits, and ${code('billet instance show NAME')} has each disk with the reason, and the next command.`,
    ),
  );
}

function bootstrap(modules: readonly LabelledModule[]): string {
  const names = modules.map(({ ref }) => code(`${ref.name} ${ref.version}`)).join(', ');
  return joined(
    '## Phase 3: bootstrap',
    `The node enrolls, then pulls, verifies and mounts ${names || 'nothing'}. Its console has one line for each stage (\`BILLET_MARKER\`), and \`BILLET_FAILURE\` with a code and a hint where it waits.`,
    commands('billet instance show NAME', 'billet events --follow --subject instance/ID'),
  );
}

function running({ classes }: RunbookFacts, modules: readonly LabelledModule[]): string {
  const probes = modules.flatMap(({ ref, label }) =>
    (label?.probes ?? []).map((probe) => ({ module: ref.name, probe })),
  );
  const units = modules.flatMap(({ ref, label }) =>
    (label?.services ?? []).map(({ name }) => `billet-${ref.name}-${name}.service`),
  );
  return joined(
    '## Phase 4: run',
    'It is good when all of these hold; a generation of which one does not is taken back by the node itself:',
    grid(
      ['module', 'probe', 'what has to hold'],
      probes.map(({ module, probe }) => [code(module), code(probe.name), probeText(probe)]),
      'No module declares a probe: a node counts as good when its services run.',
    ),
    ...classes.map(
      ({ name, spec }) => `What follows from signals of ${code(name)}: ${policies(spec.signals)}.`,
    ),
    commands(
      'billet instance list --node NAME',
      'billet signal list --instance NAME',
      ...probes.map(({ probe }) => `billet task create run-probe NAME --wait ${probeFlags(probe)}`),
      ...units.map((unit) => `billet task create collect-logs NAME --wait --unit ${unit}`),
    ),
  );
}

/** Null: the coordinator's configuration says it. */
const policies = (signals: MachineClass['spec']['signals']): string =>
  Object.entries(signals)
    .map(([topic, policy]) => `${topic} ${policy ?? 'as the coordinator is configured'}`)
    .join(', ');

const probeFlags = (probe: Probe): string =>
  probe.kind === 'unit'
    ? `--unit ${quoted(probe.unit)}`
    : [
        `--url ${quoted(probe.url)}`,
        ...(probe.status === 200 ? [] : [`--status ${probe.status}`]),
        ...(probe.contains === undefined ? [] : [`--contains ${quoted(probe.contains)}`]),
      ].join(' ');

function drain(modules: readonly LabelledModule[]): string {
  const services = modules.flatMap(({ ref, label }) =>
    (label?.services ?? []).map((service) => ({ module: ref.name, service })),
  );
  const seconds = services.reduce((sum, { service }) => sum + service.stopTimeoutSeconds, 0);
  return joined(
    '## Phase 5: drain',
    'Nothing new comes to it, containers and pods go first, then its services; what would not move is named.',
    grid(
      ['module', 'service', 'may take to stop'],
      services.map(({ module, service }) => [
        code(module),
        code(service.name),
        `${service.stopTimeoutSeconds} s`,
      ]),
      'No module has a service to stop.',
    ),
    commands('billet instance drain NAME --wait'),
    seconds > 0 ? `Its own services take ${seconds} s at most, one after the other.` : '',
  );
}

function decommission({ instanceTypes }: RunbookFacts, modules: readonly LabelledModule[]): string {
  const paths = modules.flatMap(({ label }) => label?.persistent ?? []);
  const disks = instanceTypes.flatMap(({ name, spec }) =>
    spec.shape.disks.map(({ serial }) => `${serial} of ${name}`),
  );
  const lost = [...paths, ...disks].map(code).join(', ');
  return joined(
    '## Phase 6: decommission',
    commands(
      'billet instance terminate NAME --wait',
      'billet provider leftovers',
      'billet node delete NAME   # only when it is retired: it keeps the history',
    ),
    lost === '' ? '' : `What goes with the machine: ${lost}. Copy first what is to be kept.`,
  );
}

function stuck({ deadlines }: RunbookFacts): string {
  return joined(
    '## When it stands still',
    commands('billet instance why NAME'),
    grid(
      ['state', 'for', 'at', 'likely cause', 'what happens', 'next'],
      deadlines.map((one) => [
        one.state,
        `${one.provider}, ${one.lifecycleClass}`,
        lasting(one.afterSeconds),
        plain(one.reason),
        WHAT[one.action],
        plain(one.hint),
      ]),
      'No state of it has a deadline: each waits for a person.',
    ),
  );
}

const WHAT: Readonly<Record<StateDeadline['action'], string>> = {
  signal: 'a signal; it goes on waiting',
  fail: 'the instance fails',
  terminate: 'it is ended, and replaced where its class says so',
  finish: 'it is closed',
};

const lasting = (seconds: number): string =>
  seconds < 7200 ? `${Math.round(seconds / 60)} min` : `${Math.round(seconds / 3600)} h`;
