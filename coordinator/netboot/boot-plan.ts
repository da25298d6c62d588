// What a machine that asks over the network gets: its boot image and identity, or the reason why
// not. Writes only what a token's making writes.

import type { BootImage } from '#shared/schema/desired.ts';
import type { Identity } from '#shared/schema/identity.ts';
import type { NodeName } from '#shared/schema/ids.ts';
import { type EnrollmentDeps, mayComeBack } from '../nodes/enrollment.ts';
import { identifierKey } from '../nodes/identifiers/rules.ts';
import { mayEnroll } from '../nodes/lifecycle.ts';
import type { InstanceRecord, NodeRecord } from '../nodes/records.ts';
import { createBootToken } from '../nodes/token-writes.ts';
import type { Machine } from './script.ts';

export type BootPlan =
  | {
      readonly kind: 'boot';
      readonly node: NodeName;
      readonly image: BootImage;
      readonly identity: Identity;
    }
  | { readonly kind: 'unknown' }
  /** Known, but not to be booted now; lines for the console. */
  | { readonly kind: 'wait'; readonly node: NodeName; readonly lines: readonly string[] };

/**
 * A boot that was ordered gets a fresh token, and takes the token of its earlier tries away. Without
 * an order, a machine that may still have the key of a certificate boots without a token: with the
 * key it renews, and without it enrollment fails on its console until someone orders a boot. One
 * that said it keeps no key waits here instead, where an order reaches it without a reset.
 */
export async function planBoot(
  deps: EnrollmentDeps & { readonly url: () => string },
  machine: Machine,
): Promise<BootPlan> {
  const node = await nodeOf(deps, machine);
  if (!node) return { kind: 'unknown' };
  const { name, derived, instance } = node;
  const wait = (...lines: string[]): BootPlan => ({ kind: 'wait', node: name, lines });
  if (instance === null)
    return wait(`node ${name} has no instance`, `to make one: billet instance create ${name}`);
  if (derived.bootImage === null)
    return wait(
      `node ${name} has no boot image`,
      `to see what is missing: billet node show ${name}`,
    );
  const found = await deps.records.instances.get(instance);
  if (!found || !mayEnroll(found.record.state))
    return wait(`instance ${instance} is ${found?.record.state ?? 'gone'}`);
  const identity = { coordinator: deps.url(), ca: deps.authority.fingerprint, instance };
  const token = await tokenOf(deps, found.record);
  if (token === 'none')
    return wait(
      `no boot of node ${name} (${instance}) is ordered`,
      `to let it boot: billet instance boot ${instance}`,
    );
  return {
    kind: 'boot',
    node: name,
    image: derived.bootImage,
    identity: token === 'surviving key' ? identity : { ...identity, token: token.secret },
  };
}

async function tokenOf(deps: EnrollmentDeps, record: InstanceRecord) {
  const made = await createBootToken(deps.records, record.id);
  if (made) return made;
  return (await mayComeBack(deps, record)) ? 'surviving key' : 'none';
}

/** By MAC address first: boards share UUIDs more often than addresses. */
async function nodeOf({ records }: EnrollmentDeps, machine: Machine): Promise<NodeRecord | null> {
  const mac = machine.mac && identifierKey({ kind: 'mac', value: machine.mac });
  for (const key of [mac, machine.uuid]) {
    const entry = key === null ? null : await records.machines.get(key);
    const node = entry && (await records.nodes.get(entry.record.node));
    if (node) return node.record;
  }
  return null;
}
