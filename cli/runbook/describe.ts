// The part of a runbook that says what nodes of a template are: where their parts come from, which
// modules they run, with which settings, and how their machines are had. Text only.

import type { MachineClass } from '#shared/schema/class.ts';
import type { DiskSelector } from '#shared/schema/install-plan.ts';
import type { Probe } from '#shared/schema/module.ts';
import type { RunbookFacts } from '#shared/schema/runbook.ts';
import type { Settings } from '#shared/schema/settings.ts';
import { bytes, shortDigest } from '../output.ts';
import { code, grid, joined, plain } from './markdown.ts';
import type { LabelledModule } from './modules.ts';

export const describe = (facts: RunbookFacts, modules: readonly LabelledModule[]): string =>
  joined(
    '## What its nodes are',
    facts.template.spec.description === '' ? '' : plain(facts.template.spec.description),
    bootText(facts),
    '### Modules',
    moduleGrid(modules),
    ...modules.flatMap(({ ref, problem }) =>
      problem === ''
        ? []
        : [
            `The label of ${code(ref.name)} could not be read, so its services and probes are missing here: ${plain(problem)}.`,
          ],
    ),
    '### Settings',
    settingsText(facts.template.spec.settings),
    '### Classes, pools and machines',
    classGrid(facts),
    poolGrid(facts),
    typeGrid(facts),
    nodesText(facts),
  );

function bootText({ platform, architecture, publication, template }: RunbookFacts): string {
  if (platform === null)
    return 'The template names no platform: each node names a boot image of its own (`--boot-image`).';
  const machine = architecture === null ? '' : ` (${code(architecture.spec.machine)})`;
  const of = `Platform ${code(platform.name)}${machine}`;
  if (publication === null)
    return `${of}. **Nothing is published for it: provisioning fails with \`NETBOOT_IMAGE_MISSING\`** until phase 0 below is done.`;
  const { boot, status } = publication.spec;
  const pinned = template.spec.publication === null ? "the platform's current one" : 'pinned';
  return `${of}, publication ${code(publication.name)} (${status}, ${pinned}), kernel ${code(boot.kernelRelease)}, ${code(shortDigest(publication.digest))}.`;
}

const moduleGrid = (modules: readonly LabelledModule[]): string =>
  grid(
    ['module', 'kind', 'version', 'manifest', 'services', 'probes', 'data kept under'],
    modules.map(({ ref, label }) => [
      code(ref.name),
      ref.kind,
      plain(ref.version),
      code(shortDigest(ref.manifest)),
      listed(label?.services.map(({ name }) => name)),
      listed(label?.probes.map(({ name }) => name)),
      listed(label?.persistent),
    ]),
    'The template has no modules: a node of it boots, and runs nothing.',
  );

const listed = (names: readonly string[] | undefined): string =>
  names === undefined ? '?' : names.map(code).join(', ') || '-';

/** What a probe asks, in words. */
export const probeText = (probe: Probe): string =>
  probe.kind === 'http'
    ? `${code(probe.url)} answers ${probe.status}${probe.contains === undefined ? '' : ` with ${code(probe.contains)}`} within ${probe.timeoutSeconds} s`
    : `${code(probe.unit)} is active within ${probe.timeoutSeconds} s`;

function settingsText({ sshKeys, modules, ...rest }: Settings): string {
  const rows = Object.entries(rest).map(([key, value]) => [key, code(JSON.stringify(value))]);
  if (sshKeys !== undefined)
    rows.push([
      'sshKeys',
      `${sshKeys.length} for root, for emergencies: ${sshKeys.map(keyName).join(', ')}`,
    ]);
  for (const [name, value] of Object.entries(modules ?? {}))
    rows.push([`modules.${name}`, code(JSON.stringify(value))]);
  return grid(['setting', 'value'], rows, 'The template sets nothing.');
}

/** Its comment, or its type: the key itself is of no use to a reader. */
const keyName = (line: string): string => {
  const [type = '', , ...comment] = line.split(' ');
  return code(comment.join(' ') || type);
};

const classGrid = ({ classes }: RunbookFacts): string =>
  grid(
    ['class', 'lifecycle', 'installs', 'on the disk', 'region', 'type'],
    classes.map(({ name, spec }) => [
      code(name),
      `${spec.lifecycleClass}: ${LOST[spec.lifecycleClass]}`,
      spec.install === null ? 'nothing' : code(spec.install.profile),
      spec.install === null ? '-' : selectorText(spec.install.disk),
      code(spec.region ?? '') || '-',
      code(spec.instanceType ?? '') || '-',
    ]),
    'No class names the template: its nodes name template, region and type themselves.',
  );

const LOST: Readonly<Record<MachineClass['spec']['lifecycleClass'], string>> = {
  persistent: 'nothing destroys it without a person',
  ephemeral: 'replaced once its machine is proven off',
  spot: 'drained and replaced when its provider gives notice',
};

const selectorText = (disk: DiskSelector): string =>
  Object.entries(disk)
    .map(([key, value]) =>
      code(`${key} ${key.startsWith('sizeBytes') ? bytes(Number(value)) : value}`),
    )
    .join(' and ');

const poolGrid = ({ pools }: RunbookFacts): string =>
  pools.length === 0
    ? ''
    : grid(
        ['pool', 'class', 'kept warm', 'region', 'type'],
        pools.map(({ name, spec }) => [
          code(name),
          code(spec.class),
          String(spec.warm),
          code(spec.region ?? '') || '-',
          code(spec.instanceType ?? '') || '-',
        ]),
        '',
      );

const typeGrid = ({ instanceTypes, regions }: RunbookFacts): string =>
  joined(
    instanceTypes.length === 0
      ? ''
      : grid(
          ['type', 'provider', 'CPUs', 'memory', 'disks', 'boots'],
          instanceTypes.map(({ name, spec: { provider, shape } }) => [
            code(name),
            provider,
            String(shape.cpuCount),
            bytes(shape.memoryBytes),
            shape.disks
              .map(({ serial, sizeBytes, label }) =>
                code([serial, bytes(sizeBytes), label ?? ''].join(' ').trim()),
              )
              .join(', ') || 'none',
            shape.boot,
          ]),
          '',
        ),
    regions.length === 0
      ? ''
      : grid(
          ['region', 'provider', 'zone', 'most machines'],
          regions.map(({ name, spec }) => [
            code(name),
            spec.provider,
            code(spec.zone) || '-',
            spec.machinesMax === null ? 'no limit' : String(spec.machinesMax),
          ]),
          '',
        ),
  );

function nodesText({ nodes, at }: RunbookFacts): string {
  if (nodes.total === 0) return 'No node is made from it yet.';
  const names = nodes.names.map(code).join(', ');
  const more = nodes.total > nodes.names.length ? ' …' : '';
  return `Nodes made from it: ${nodes.total} (${nodes.withoutInstance} without an instance, ${at.slice(0, 10)}): ${names}${more}`;
}
