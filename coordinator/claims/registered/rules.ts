// Whether a machine that asks to be claimed is let in without a person: it shows what one node is
// registered with, and a boot of that node is due. Pure. The identifiers prove nothing: they are worth
// what the network segment is worth, as docs/security.md says.

import type { ClaimWait } from '#shared/schema/claim.ts';
import type { InstanceId, NodeName } from '#shared/schema/ids.ts';
import {
  ambiguityText,
  type Identifier,
  type Match,
  matchText,
} from '../../nodes/identifiers/rules.ts';
import { mayEnroll } from '../../nodes/lifecycle.ts';
import type { InstanceRecord, NodeRecord } from '../../nodes/records.ts';

/** What the store knows of a machine by what it shows. */
export interface Sight {
  /** In the order in which the machine shows them. */
  readonly matches: readonly Match[];
  /** The only one that they point to; null where it is none, or several. */
  readonly node: NodeRecord | null;
  readonly instance: InstanceRecord | null;
  /** The store is a restored one, and has not heard of that instance since. */
  readonly isRestored: boolean;
  /** Which instance the machine was told to be, if any. */
  readonly told: InstanceId | null;
}

export type Judgement =
  | { readonly kind: 'approve'; readonly node: NodeName; readonly identifier: Identifier }
  | { readonly kind: 'wait'; readonly waits: ClaimWait };

export function judge(sight: Sight, settings: { readonly autoApprove: boolean }): Judgement {
  const { matches, node, instance, told } = sight;
  const [first] = matches;
  if (first === undefined)
    return wait('unknown', [], 'no node is registered with what it shows', REGISTER);
  if (node === null) {
    const nodes = [...new Set(matches.map((each) => each.node))];
    return wait('ambiguous', nodes, ambiguityText(matches), MEND);
  }
  const { name } = node;
  const waits = (why: ClaimWait['why'], text: string, hint: string) =>
    wait(why, [name], text, hint);
  const isIt = matchText(name, matches);
  const approve = `billet claim approve CODE --node ${name}`;
  if (told !== null && told !== node.instance)
    return waits('told-otherwise', `it is ${isIt}, and was told to be ${told}`, OTHERWISE);
  if (!settings.autoApprove || node.spec.claimBy === 'person')
    return waits('person', `it is ${isIt}; ${whoSays(settings)} wants a person to say so`, approve);
  if (instance === null && node.lives > 0)
    return waits(
      'ended',
      `it is ${isIt}, whose last instance has ended`,
      `billet instance create ${name} lets it in, or ${approve}`,
    );
  if (instance !== null && !mayEnroll(instance.state))
    return waits(
      'ended',
      `it is ${isIt}, whose instance ${instance.id} is ${instance.state}`,
      `billet instance terminate ${instance.id}, then billet instance create ${name}`,
    );
  if (sight.isRestored)
    return waits(
      'enrolled',
      `it is ${isIt}, and what ${instance?.id} did after the backup that was restored is not known`,
      `${approve} --replace, once nothing else runs as ${name}`,
    );
  if (instance !== null && !isDue(instance, node))
    return waits(
      'enrolled',
      `it is ${isIt}, as which a machine enrolled, and no boot is ordered: another machine that shows the same, or a new board or disk`,
      `if it is to come in: billet instance boot ${name}, or ${approve} --replace`,
    );
  return { kind: 'approve', node: name, identifier: first.identifier };
}

/**
 * Whether the next boot may get in: it was ordered, never took place, or is of an installation that is
 * not done, in which no key has outlived a power cut yet.
 */
const isDue = ({ certificate, boot, install, state }: InstanceRecord, node: NodeRecord): boolean =>
  certificate === null ||
  boot.ordered ||
  (install?.doneAt === null &&
    node.derived.install !== null &&
    (state === 'bootstrapping' || state === 'installing'));

const whoSays = ({ autoApprove }: { readonly autoApprove: boolean }) =>
  autoApprove ? 'that node' : 'this coordinator';

const REGISTER =
  'compare the code with its console, then billet claim approve CODE --node NAME; or register it: billet node set NAME --mac, --uuid, --serial or --asset-tag';
const MEND = 'take what is wrong out of one of the nodes, or billet claim approve CODE --node NAME';
const OTHERWISE =
  'take billet.instance out of what it boots with, or billet claim approve CODE for the node of that instance';

const wait = (
  why: ClaimWait['why'],
  nodes: readonly NodeName[],
  text: string,
  hint: string,
): Judgement => ({
  kind: 'wait',
  waits: { why, nodes: nodes.slice(0, 8), text: text.slice(0, 512), hint: hint.slice(0, 512) },
});
