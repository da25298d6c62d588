// How a claim looks to a person: what to compare with the machine's console first. Text only.

import type { Claim } from '#shared/schema/claim.ts';
import { ago, bytes, type Column, listing } from '../output.ts';

export const claimColumns = (nowMs: number): readonly Column<Claim>[] => [
  { header: 'CODE', value: ({ code }) => code },
  { header: 'STATE', value: ({ state }) => state },
  { header: 'AGE', value: ({ createdAt }) => ago(createdAt, nowMs) },
  { header: 'FROM', value: ({ address }) => address },
  { header: 'MACHINE', value: machineOf, shrinks: true },
  { header: 'NODE', value: nodeOf, shrinks: true },
  { header: 'WAITS', value: ({ waits }) => waits?.why ?? '-' },
];

/** Which it became, or may be. */
function nodeOf({ decision, waits }: Claim): string {
  if (decision !== null) return decision.node ?? '-';
  const nodes = waits?.nodes.join(', ') ?? '';
  return nodes === '' ? '-' : `${nodes}?`;
}

export function claimLines(claim: Claim, width: number): readonly string[] {
  const { facts, decision } = claim;
  const { dmi, cloud } = facts;
  const pairs: [string, string][] = [
    ['code', claim.code],
    ['key', claim.key],
    ['state', claim.state],
    ['from', claim.address],
    ['asked', claim.createdAt],
    ['expires', claim.expiresAt],
    ['machine', machineOf(claim)],
  ];
  if (claim.waits !== null) {
    pairs.push(['waits', `${claim.waits.why}: ${claim.waits.text}`]);
    pairs.push(['next', claim.waits.hint.replaceAll('CODE', claim.code)]);
  }
  if (dmi.serial !== undefined) pairs.push(['serial', dmi.serial]);
  if (dmi.assetTag !== undefined) pairs.push(['asset tag', dmi.assetTag]);
  if (dmi.uuid !== undefined) pairs.push(['uuid', dmi.uuid]);
  if (cloud !== undefined)
    pairs.push(['cloud', [cloud.provider, cloud.instance, cloud.zone ?? ''].join(' ').trim()]);
  pairs.push(['macs', facts.macs.join(' ') || 'none']);
  pairs.push(['memory', bytes(facts.memoryBytes)], ['cpus', String(facts.cpuCount)]);
  for (const disk of facts.disks)
    pairs.push(['disk', `${disk.name} ${bytes(disk.sizeBytes)} ${disk.serial ?? ''}`.trim()]);
  if (claim.instance !== null) pairs.push(['says it is', claim.instance]);
  if (decision !== null) pairs.push(['answered', `${decision.at} by ${decision.by}`]);
  if (decision?.node) pairs.push(['node', `${decision.node} (${decision.instance})`]);
  if (decision?.identifier) pairs.push(['known by', `its ${decision.identifier}`]);
  return listing(pairs, width);
}

const machineOf = ({ facts: { dmi, architecture } }: Claim): string =>
  [dmi.vendor, dmi.product, dmi.serial].filter((part) => part !== undefined).join(' ') ||
  architecture;
