// What happened to an instance, and what it says of itself, as causes. Decides from a story.

import type { Event } from '#shared/schema/records.ts';
import type { CauseKind, Evidence } from '#shared/schema/why.ts';
import type { Suspect } from './changes.ts';
import { isoOf, momentOf } from './moment.ts';
import type { Story } from './story.ts';

const SHOW = 'billet instance show ID';

/** Kinds of events that are no more than an instance's ordinary life are not among them. */
const EVENTS: readonly (readonly [pattern: RegExp, kind: CauseKind, hint: string])[] = [
  [/^instance\.(booted|came_back)$/, 'host', 'read its console, and billet instance show ID'],
  [/^machine\./, 'host', 'billet claim list; billet events --subject instance/ID'],
  [/^instance\.(preempted|abandoned|provider_failed)$/, 'provider', 'billet provider list'],
  [/^provider\./, 'provider', 'billet provider leftovers'],
  [/^certificate\./, 'certificate', 'billet instance boot ID lets it enroll again'],
  [/^ca\./, 'certificate', 'billet ca show says who waits for a rotation'],
  [/^task\.(created|failed|cancelled)$/, 'task', 'billet task list --instance ID'],
  [/^instance\.(draining|drain_\w+|drained|cordoned|uncordoning|not_empty)$/, 'operator', SHOW],
  [/^instance\.(accepted|claimed|quiet|terminating)$/, 'operator', SHOW],
  [/^instance\.ahead$/, 'coordinator', 'billet instance accept ID'],
  [/^signal\.remedy$/, 'task', 'billet signal list --instance ID --all'],
  [/^node\.left_behind$/, 'operator', 'billet events --subject node/NODE'],
  [/^coordinator\./, 'coordinator', 'billet status; its log has the rest'],
];

/** Permanent properties of a machine, which a change does not bring. */
const STANDING = ['BOOT_UNVERIFIED', 'STORE_IN_MEMORY', 'VERITY_UNAVAILABLE', 'REBOOT_PENDING'];

export function eventSuspects({ events, instance }: Story): readonly Suspect[] {
  const firstBoot = events.find(({ kind }) => kind === 'instance.booted');
  return events.flatMap((event) => {
    const row = EVENTS.find(([pattern]) => pattern.test(event.kind));
    // The first boot is how it came to be, not what became of it.
    const isBirth = event === firstBoot && !bootedBefore(events, event);
    if (row === undefined || isBirth) return [];
    const [, kind, hint] = row;
    const { node, id } = instance;
    const command = hint.replaceAll('ID', id).replaceAll('NODE', node ?? id);
    return [
      {
        ...{ kind, what: `${event.kind}: ${event.text}`.slice(0, 1024), hint: command },
        ...{ at: momentOf(event.at), evidence: [eventEvidence(event)] },
      },
    ];
  });
}

/** An instance that was created in the time that is looked at has no boot before its first. */
const bootedBefore = (events: readonly Event[], event: Event): boolean =>
  !events.some(({ kind, revision }) => kind === 'instance.created' && revision < event.revision);

/** What the node says: the reason of its last reconcile, and conditions that came. */
export function reportSuspects({ heartbeat: found, instance }: Story): readonly Suspect[] {
  if (found === null) return [];
  const { heartbeat, at } = found;
  const evidence = (text: string): Evidence[] => [{ at: isoOf(at), source: 'heartbeat', text }];
  const last = heartbeat.lastReconcile;
  const hint = `billet instance show ${instance.id}; journalctl -u billet-agent on the node`;
  const failed: readonly Suspect[] =
    last?.outcome === 'failed'
      ? [
          {
            kind: 'report',
            what: `the node says ${[last.code, last.message].filter(Boolean).join(': ')}`,
            ...{ at, hint, evidence: evidence(`reconcile failed at step ${last.steps}`) },
            symptom: true,
          },
        ]
      : [];
  const conditions = heartbeat.conditions
    .filter(({ code }) => !STANDING.includes(code) && code !== last?.code)
    .map(
      (condition): Suspect => ({
        kind: 'report',
        what: `the node says ${condition.code}: ${condition.text}`.slice(0, 1024),
        ...{ at, hint: condition.hint || hint, evidence: evidence(`condition ${condition.code}`) },
        words: [condition.code],
      }),
    );
  return [...failed, ...conditions];
}

/** What its provider last answered. */
export function providerSuspects({ instance }: Story): readonly Suspect[] {
  const { fault, stateSince } = instance;
  if (fault === null) return [];
  const { code, message, hint } = fault;
  const at = new Date(stateSince).toISOString();
  const text = `${code}: ${message}`;
  return [
    {
      ...{ kind: 'provider', what: `the provider says ${text}`.slice(0, 1024), hint },
      ...{ at: stateSince, words: [code] },
      evidence: [{ at, source: 'machine', text }],
    },
  ];
}

export const signalSuspects = ({ signals }: Story): readonly Suspect[] =>
  signals.map(({ id, kind, openedAt, text, cause, hint }) => ({
    ...{ kind: 'signal', what: `${kind}: ${cause || text}`.slice(0, 1024), hint },
    ...{ at: momentOf(openedAt), evidence: [{ at: openedAt, source: `signal ${id}`, text }] },
  }));

const eventEvidence = ({ at, revision, actor, text }: Event): Evidence => ({
  ...{ at, source: `event ${revision}` },
  text: `${text} (${actor})`.slice(0, 1024),
});
