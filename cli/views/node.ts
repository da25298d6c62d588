// How a node looks to a person. Text only; asks nobody.

import type { Node } from '#shared/schema/records.ts';
import { ago, type Column, listing, shortDigest, table } from '../output.ts';

export const nodeColumns = (nowMs: number): readonly Column<Node>[] => [
  { header: 'NODE', value: ({ name }) => name, shrinks: true },
  { header: 'GEN', value: ({ generation }) => String(generation) },
  { header: 'INSTANCE', value: ({ instance }) => instance ?? '-' },
  {
    header: 'MODULES',
    value: ({ spec }) => spec.modules.map(({ name }) => name).join(',') || '-',
    shrinks: true,
  },
  { header: 'AGE', value: ({ createdAt }) => ago(createdAt, nowMs) },
];

export function nodeLines({ spec, ...node }: Node, width: number): readonly string[] {
  const { bootImage, settings } = spec;
  const pairs: [string, string][] = [
    ['node', node.name],
    ['generation', String(node.generation)],
    ['instance', node.instance ?? 'none'],
    ['created', node.createdAt],
    ['revision', String(node.revision)],
    ['boot image', bootImage === null ? 'none' : `${bootImage.repository}@${bootImage.manifest}`],
  ];
  if (bootImage !== null) pairs.push(['kernel', bootImage.kernelRelease]);
  if (spec.macs.length > 0) pairs.push(['macs', spec.macs.join(' ')]);
  if (spec.dmiUuid !== null) pairs.push(['uuid', spec.dmiUuid]);
  for (const [key, value] of Object.entries(spec.labels)) pairs.push(['label', `${key}=${value}`]);
  if (settings.hostname !== undefined) pairs.push(['hostname', settings.hostname]);
  if (settings.timezone !== undefined) pairs.push(['timezone', settings.timezone]);
  if (settings.sshKeys !== undefined) pairs.push(['ssh keys', String(settings.sshKeys.length)]);
  const modules = table(
    spec.modules,
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
