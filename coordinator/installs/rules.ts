// Rules of installations: what a node is ordered, and what becomes of an instance when its node reports.
// Pure; who writes it is in reports.ts and order-writes.ts.

import { BilletError } from '#shared/errors.ts';
import type { InstallEventId, InstallOrder, InstallPlan } from '#shared/schema/install-plan.ts';
import type { InstallReport } from '#shared/schema/install-report.ts';
import type { Derived } from '#shared/schema/records.ts';
import { after } from '../nodes/lifecycle.ts';
import { enter, type InstanceRecord } from '../nodes/records.ts';
import type { InstallRecord, ReportRecord } from './records.ts';

/** An order as it is made with the instance: the plan of class and node as it stands. */
export const firstOrder = (
  event: InstallEventId,
  { install }: Pick<Derived, 'install'>,
  now: number,
): InstallRecord | null =>
  install === null ? null : newOrder(event, { wipeId: null, diskSerial: null }, now);

export const newOrder = (
  event: InstallEventId,
  { wipeId, diskSerial }: Pick<InstallRecord, 'wipeId' | 'diskSerial'>,
  now: number,
): InstallRecord => ({ event, orderedAt: now, doneAt: null, wipeId, diskSerial, waits: false });

/** The plan with what the order says over it. */
export const plannedOf = (
  { wipeId, diskSerial }: Pick<InstallRecord, 'wipeId' | 'diskSerial'>,
  plan: InstallPlan,
): InstallPlan => ({
  ...plan,
  wipeId: wipeId ?? plan.wipeId,
  disk: diskSerial === null ? plan.disk : { serial: diskSerial },
});

/** For the desired state: null without an order, and where class and node have no plan any more. */
export const orderOf = (
  ordered: InstallRecord | null,
  plan: InstallPlan | null,
): InstallOrder | null =>
  ordered === null || plan === null
    ? null
    : { event: ordered.event, plan: plannedOf(ordered, plan) };

/** What waited for a person begins to count anew, once there is an answer. */
export const restarted = (record: InstanceRecord, now: number): InstanceRecord =>
  record.state === 'installing' ? { ...record, stateSince: now, signalled: 0, reason: '' } : record;

/** Whether an order says what the newest one says. */
export const isSameOrder = (
  ordered: InstallRecord | null,
  wish: Pick<InstallRecord, 'wipeId' | 'diskSerial'>,
): boolean =>
  ordered !== null && ordered.wipeId === wish.wipeId && ordered.diskSerial === wish.diskSerial;

/** Whether anything may have been written under the order. */
export const isBegun = (
  ordered: InstallRecord | null,
  heard: Pick<InstallReport, 'event' | 'state'> | null,
): boolean => {
  if (ordered === null || ordered.doneAt !== null) return true;
  const state = heard?.event === ordered.event ? heard.state : 'planned';
  return state !== 'planned' && state !== 'refused';
};

/** Equal for two reports that say the same, but for how far the step has come. */
export const meaningOf = (report: Omit<InstallReport, 'recoveryKey'>): string =>
  JSON.stringify([
    report.event,
    report.bootId,
    report.state,
    report.step,
    report.disk?.name,
    report.problem?.code,
    report.problem?.text,
    report.candidates.map(({ disk, wipeId, reason }) => [disk.name, wipeId, reason]),
  ]);

export interface Tidings {
  /** Dotted, under `instance.`. */
  readonly kind: string;
  readonly text: string;
}

export interface Absorbed {
  readonly next: InstanceRecord;
  readonly kept: ReportRecord;
  readonly news: readonly Tidings[];
}

/**
 * The instance after its node reported. Null for a report that comes too late to mean anything: of a
 * step, after the same boot was installed. CONFLICT for an event that is not its order.
 */
export function absorb(
  before: InstanceRecord,
  last: ReportRecord | null,
  { recoveryKey: _, ...report }: InstallReport,
  now: number,
): Absorbed | null {
  const { install } = before;
  if (install?.event !== report.event) throw superseded(before, report.event);
  const known = last?.report.event === report.event ? last : null;
  if (known?.report.state === 'installed' && known.report.bootId === report.bootId) {
    if (report.state !== 'installed') return null;
  }
  const started = known?.startedAt ?? null;
  const kept: ReportRecord = {
    // Why each disk is not the one matters while somebody has to decide.
    report: report.problem === null ? { ...report, candidates: [] } : report,
    at: now,
    startedAt: started ?? (report.state === 'installing' ? now : null),
    told: known?.told ?? null,
  };
  switch (report.state) {
    case 'planned': {
      const disk = report.disk === null ? 'a disk' : diskText(report.disk);
      const text = `a dry run: it would install itself to ${disk}, and waits`;
      return waiting(before, { kept: { ...kept, report }, kind: 'install_planned', text, now });
    }
    case 'installing': {
      const next = {
        ...enter(
          install.waits ? restarted(before, now) : before,
          after(before.state, 'install'),
          now,
        ),
        reason: '',
        install: { ...install, doneAt: null, waits: false },
      };
      const disk = report.disk === null ? 'a disk' : diskText(report.disk);
      const isAnother = known?.report.bootId !== report.bootId;
      const news =
        started === null
          ? [{ kind: 'install_started', text: `${before.node} installs itself to ${disk}` }]
          : isAnother
            ? [{ kind: 'install_resumed', text: `another boot goes on at ${report.step}` }]
            : [];
      return { next, kept, news };
    }
    case 'installed': {
      const next = {
        ...enter(before, after(before.state, 'installed'), now),
        install: { ...install, doneAt: install.doneAt ?? now, waits: false },
      };
      const disk = report.disk === null ? 'its disk' : diskText(report.disk);
      const news =
        install.doneAt === null ? [{ kind: 'installed', text: `installed on ${disk}` }] : [];
      return { next, kept: { ...kept, told: null }, news };
    }
    case 'refused':
    case 'failed': {
      const { code = 'INTERNAL', text: what = '' } = report.problem ?? {};
      const text = `${code}: ${what}`;
      return waiting(before, { kept, kind: `install_${report.state}`, text, now });
    }
  }
}

/** It installs, and gets no further now: what it says is told once. */
function waiting(
  before: InstanceRecord,
  said: {
    readonly kept: ReportRecord;
    readonly kind: string;
    readonly text: string;
    readonly now: number;
  },
): Absorbed {
  const { kept, kind, text, now } = said;
  const entered = enter(before, after(before.state, 'install'), now);
  const waits = kept.report.state !== 'failed';
  const news =
    kept.told === text ? [] : [{ kind, text: `${text}; billet instance show ${before.id}` }];
  return {
    next: {
      ...entered,
      reason: text.slice(0, 1024),
      install: before.install && { ...before.install, waits },
    },
    kept: { ...kept, told: text.slice(0, 2048) },
    news,
  };
}

const diskText = ({
  name,
  serial,
}: {
  readonly name: string;
  readonly serial?: string | undefined;
}) => (serial === undefined ? name : `${name} (serial ${serial})`);

const superseded = ({ id, install }: InstanceRecord, event: InstallEventId) =>
  new BilletError('CONFLICT', `${event} is not what ${id} is to install`, {
    hint: 'ask for the desired state again: the order in it is the one that counts',
    details: { event: install?.event ?? null },
  });
