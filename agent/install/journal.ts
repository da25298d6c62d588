// The journal of one installation as it goes on: what is done, written to the disk before the next step.

import type { InstallOrder } from '#shared/schema/install-plan.ts';
import { writeDevice } from '../drivers/block-device.ts';
import type { InstallWork } from './plan.ts';
import type { InstallRequest } from './ports.ts';
import { encodeRecord, type InstallRecord, recordOffset } from './record.ts';

export interface InstallJournal {
  readonly record: InstallRecord;
  /** Durable when it resolves. */
  note(change: Partial<Pick<InstallRecord, 'done' | 'givenUp' | 'recoveryKey'>>): Promise<void>;
}

export type WriteRecord = (device: string, record: InstallRecord) => Promise<void>;

export const writeRecord: WriteRecord = (device, record) =>
  writeDevice(device, recordOffset(record), encodeRecord(record));

/** Writes nothing yet; the first note claims the disk for the event. */
export function openJournal(
  device: string,
  begin: InstallRecord,
  write: WriteRecord = writeRecord,
): InstallJournal {
  let record = begin;
  return {
    get record() {
      return record;
    },
    async note(change) {
      const next = { ...record, ...change, sequence: record.sequence + 1 };
      await write(device, next);
      record = next;
    },
  };
}

/** What an attempt before this one has written, where it is gone on with; or the first of this event. */
export function firstRecord(
  { desired }: Pick<InstallRequest, 'desired'>,
  { event }: Pick<InstallOrder, 'event'>,
  { on: { record }, profile, resumes }: Pick<InstallWork, 'on' | 'profile' | 'resumes'>,
): InstallRecord {
  if (resumes && record !== null) return record;
  return {
    ...{ format: 1, instance: desired.instance, event, done: [], recoveryKey: null },
    givenUp: [],
    profile: profile.name as InstallRecord['profile'],
    sequence: record?.sequence ?? 0,
  };
}
