// How a node looks to a person. Text only; asks nobody.

import { describeSelector } from '#shared/install/match-disk.ts';
import type { Node } from '#shared/schema/records.ts';
import { ago, type Column, listing, shortDigest, table } from '../output.ts';

export const nodeColumns = (nowMs: number): readonly Column<Node>[] => [
  { header: 'NODE', value: ({ name }) => name, shrinks: true },
  { header: 'GEN', value: ({ generation }) => String(generation) },
  { header: 'INSTANCE', value: ({ instance }) => instance ?? '-' },
  {
    header: 'MODULES',
    value: ({ derived }) => derived.modules.map(({ name }) => name).join(',') || '-',
    shrinks: true,
  },
  { header: 'AGE', value: ({ createdAt }) => ago(createdAt, nowMs) },
];

/** What it comes to: its own spec over its template. */
export function nodeLines({ spec, derived, ...node }: Node, width: number): readonly string[] {
  const { bootImage, modules: refs, settings } = derived;
  const pairs: [string, string][] = [
    ['node', node.name],
    ['generation', String(node.generation)],
    ['instance', node.instance ?? 'none'],
    ['created', node.createdAt],
    ['revision', String(node.revision)],
    ['lifecycle', derived.lifecycleClass],
    ['boot image', bootImage === null ? 'none' : `${bootImage.repository}@${bootImage.manifest}`],
  ];
  if (bootImage !== null) pairs.push(['kernel', bootImage.kernelRelease]);
  const made: readonly (readonly [string, string | null])[] = [
    ['publication', derived.publication],
    ['platform', derived.platform],
    ['template', derived.template],
    ['pool', spec.pool],
    ['class', derived.class],
    ['region', derived.region],
    ['type', derived.instanceType],
    ['set', node.set],
  ];
  for (const [key, value] of made) if (value !== null) pairs.push([key, value]);
  if (derived.install !== null) {
    const { profile, disk, wipeId, recoveryRecipient } = derived.install;
    pairs.push(['installs', `${profile} on the disk with ${describeSelector(disk)}`]);
    if (wipeId !== null) pairs.push(['may wipe', wipeId]);
    if (recoveryRecipient !== null) pairs.push(['recovery', 'its key is sealed to the operator']);
  }
  if (spec.macs.length > 0) pairs.push(['macs', spec.macs.join(' ')]);
  if (spec.dmiUuid !== null) pairs.push(['uuid', spec.dmiUuid]);
  if (spec.serial !== null) pairs.push(['serial', spec.serial]);
  if (spec.assetTag !== null) pairs.push(['asset tag', spec.assetTag]);
  if (spec.claimBy === 'person') pairs.push(['claimed by', 'a person in each case']);
  for (const [key, value] of Object.entries(spec.labels)) pairs.push(['label', `${key}=${value}`]);
  for (const [key, value] of Object.entries(spec.metadata))
    pairs.push(['metadata', `${key}=${value}`]);
  if (settings.hostname !== undefined) pairs.push(['hostname', settings.hostname]);
  if (settings.timezone !== undefined) pairs.push(['timezone', settings.timezone]);
  if (settings.sshKeys !== undefined) pairs.push(['ssh keys', String(settings.sshKeys.length)]);
  const modules = table(
    refs,
    [
      { header: 'MODULE', value: ({ name }) => name, shrinks: true },
      { header: 'KIND', value: ({ kind }) => kind },
      { header: 'VERSION', value: ({ version }) => version, shrinks: true },
      { header: 'REPOSITORY', value: ({ repository }) => repository, shrinks: true },
      { header: 'MANIFEST', value: ({ manifest }) => shortDigest(manifest) },
    ],
    width,
    'no modules',
  );
  return [...listing(pairs, width), '', ...modules];
}
