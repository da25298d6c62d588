// Takes in what nodes say while they install themselves: a change is written, in one commit with its
// event and the state of the instance; how far a step has come stays in memory. What follows from a
// report is decided in rules.ts.

import type { InstanceId } from '#shared/schema/ids.ts';
import type { InstallReport } from '#shared/schema/install-report.ts';
import { nodeActor } from '../events/records.ts';
import { getInstance } from '../nodes/instance-writes.ts';
import type { InstanceRecord } from '../nodes/records.ts';
import type { Records } from '../records.ts';
import { ABSENT, type Change } from '../store/collection.ts';
import { transact } from '../store/transact.ts';
import { RECOVERY_KEYS_MAX, type ReportRecord } from './records.ts';
import { absorb, meaningOf } from './rules.ts';

/** What is shown of an installation: the newest that was heard. */
export type Heard = Pick<ReportRecord, 'report' | 'at' | 'startedAt'>;

export interface InstallReports {
  /** Of the instance as it is now. Idempotent. CONFLICT for an event that is not its order; NOT_FOUND. */
  take(instance: InstanceRecord, report: InstallReport): Promise<void>;
  /** Null before the first report. */
  newest(instance: InstanceId): Promise<Heard | null>;
}

/** Instances that install at once, as far as memory goes; beyond, the one quiet longest is read again. */
const MAX = 20_000;

export function installReports(records: Records): InstallReports {
  const heard = new Map<
    InstanceId,
    { readonly meaning: string; readonly sealed: string | null; readonly heard: Heard }
  >();

  /** `sealed`: the recovery key that came with it, and is stored. */
  function remember(instance: InstanceId, next: Heard, sealed: string | null): void {
    heard.delete(instance);
    heard.set(instance, { meaning: meaningOf(next.report), sealed, heard: next });
    const [oldest] = heard.keys();
    if (heard.size > MAX && oldest !== undefined) heard.delete(oldest);
  }

  return {
    async take({ id, install }, report) {
      const known = heard.get(id);
      const { recoveryKey: sealed, ...rest } = withoutCandidates(report);
      const isOrder = install?.event === report.event && report.state === 'installing';
      if (isOrder && known?.meaning === meaningOf(rest) && known.sealed === sealed) {
        remember(id, { ...known.heard, report: rest, at: records.clock.now() }, sealed);
        return;
      }
      const kept = await recordReport(records, id, report);
      if (kept) remember(id, kept, sealed);
    },

    async newest(instance) {
      const stored = (await records.installs.get(instance))?.record ?? null;
      const inMemory = heard.get(instance)?.heard;
      // Another coordinator, or another event, may have written since.
      return inMemory && (stored === null || inMemory.at >= stored.at) ? inMemory : stored;
    },
  };
}

const withoutCandidates = (report: InstallReport): InstallReport =>
  report.problem === null ? { ...report, candidates: [] } : report;

/** The record as it is now; null when the report came too late to mean anything. */
async function recordReport(
  records: Records,
  instance: InstanceId,
  report: InstallReport,
): Promise<ReportRecord | null> {
  return await transact<ReportRecord>(records.store, `instance ${instance}`, async () => {
    const [found, last] = await Promise.all([
      getInstance(records, instance),
      records.installs.get(instance),
    ]);
    const now = records.clock.now();
    const absorbed = absorb(found.record, last?.record ?? null, report, now);
    if (absorbed === null) return null;
    const { next, kept, news } = absorbed;
    const actor = nodeActor(instance);
    const key = await recoveryKeyChanges(records, found.record, report, now);
    return {
      changes: [
        records.installs.put(instance, kept, last?.revision ?? ABSENT),
        ...(next === found.record ? [] : [records.instances.put(instance, next, found.revision)]),
        ...key,
        ...news.map(({ kind, text }) =>
          records.events.tell({
            ...{ actor, kind: `instance.${kind}`, subject: `instance/${instance}`, text },
            details: { event: report.event, step: report.step, disk: report.disk?.name ?? null },
          }),
        ),
      ],
      result: () => kept,
    };
  });
}

/** The same key again changes nothing; a disk that was encrypted anew has another, beside the old. */
async function recoveryKeyChanges(
  records: Records,
  { id, node }: InstanceRecord,
  { event, recoveryKey: sealed }: InstallReport,
  now: number,
): Promise<readonly Change[]> {
  if (sealed === null) return [];
  const found = await records.recoveryKeys.get(id);
  const before = found?.record.keys ?? [];
  if (before.some((each) => each.sealed === sealed)) return [];
  const keys = [{ event, at: now, sealed }, ...before].slice(0, RECOVERY_KEYS_MAX);
  return [
    records.recoveryKeys.put(id, { node, keys }, found?.revision ?? ABSENT),
    records.events.tell({
      actor: nodeActor(id),
      kind: 'instance.recovery_key_stored',
      subject: `instance/${id}`,
      text: `the recovery key of its disk is here, sealed; billet instance recovery-key ${node}`,
      details: { event },
    }),
  ];
}
