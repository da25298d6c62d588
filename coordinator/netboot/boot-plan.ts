// What a machine that asks over the network gets: its boot image and identity, or the reason why
// not. Writes only what a token's making writes.

import type { BootImage } from '#shared/schema/desired.ts';
import type { Identity } from '#shared/schema/identity.ts';
import type { NodeName } from '#shared/schema/ids.ts';
import type { NodeSpec } from '#shared/schema/records.ts';
import { type EnrollmentDeps, mayComeBack } from '../nodes/enrollment.ts';
import { ownersOf } from '../nodes/identifiers/observe.ts';
import { ambiguityText, type Identifier } from '../nodes/identifiers/rules.ts';
import { mayEnroll } from '../nodes/lifecycle.ts';
import type { InstanceRecord } from '../nodes/records.ts';
import { createBootToken } from '../nodes/token-writes.ts';

export type BootPlan =
  | {
      readonly kind: 'boot';
      readonly node: NodeName;
      readonly image: BootImage;
      readonly identity: Identity;
    }
  | { readonly kind: 'unknown' }
  /** Known, but not to be booted now; lines for the console. */
  | { readonly kind: 'wait'; readonly lines: readonly string[] };

/**
 * `shown` is known as a claim is: it has to point to one node, and to no other.
 *
 * A boot that was ordered gets a fresh token, and takes the token of its earlier tries away. Without
 * an order, a machine that may still have the key of a certificate boots without a token: with the
 * key it renews, and without it enrollment fails on its console until someone orders a boot. One
 * that said it keeps no key waits here instead, where an order reaches it without a reset. Where the node
 * wants a person in each case (`claimBy`), no boot gets a token.
 */
export async function planBoot(
  deps: EnrollmentDeps & { readonly url: () => string },
  shown: readonly Identifier[],
): Promise<BootPlan> {
  const { matches, node } = await ownersOf(deps.records, shown);
  if (matches.length === 0) return { kind: 'unknown' };
  if (node === null)
    return wait(
      ambiguityText(matches),
      'take what is wrong out of one of them: billet node show NAME',
    );
  const { name, derived, instance } = node.record;
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
  const token = await tokenOf(deps, found.record, node.record.spec);
  if (token === 'none')
    return wait(
      `no boot of node ${name} (${instance}) is ordered`,
      `to let it boot: billet instance boot ${instance}`,
    );
  return {
    kind: 'boot',
    node: name,
    image: derived.bootImage,
    identity: token === 'without' ? identity : { ...identity, token: token.secret },
  };
}

async function tokenOf(deps: EnrollmentDeps, record: InstanceRecord, { claimBy }: NodeSpec) {
  // What it shows proves nothing: it asks to be claimed, and a person compares its code.
  if (claimBy === 'person' && record.boot.ordered) return 'without';
  const made = await createBootToken(deps.records, record.id);
  if (made) return made;
  return (await mayComeBack(deps, record)) ? 'without' : 'none';
}

const wait = (...lines: string[]): BootPlan => ({ kind: 'wait', lines });
