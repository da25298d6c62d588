// What is known of a disk when an installation is planned. Types only, and what follows from them.

import type { InstallEventId } from '#shared/schema/install-plan.ts';
import type { ObservedDisk, ObservedPartition } from '../drivers/disks.ts';
import { diskGuid, eventSeed } from './event-ids.ts';
import type { Gpt } from './gpt.ts';
import type { InstalledDisk } from './ports.ts';
import { type InstallRecord, isFinished } from './record.ts';
import { NAMELESS, type Signature, signatureId } from './wipe-id.ts';

/** What one look at its beginning tells. */
export interface SeenTable extends ObservedDisk {
  readonly gpt: Gpt | null;
  /** The journal of an installation, begun or finished. */
  readonly record: InstallRecord | null;
}

export interface SeenDisk extends SeenTable {
  readonly signatures: readonly Signature[];
  /** It carries what machines are installed from. */
  readonly bootMedium: boolean;
  /** The data directory of this boot is on it. */
  readonly holdsData: boolean;
  /** Who else uses it, in words: `mounted on /mnt`, `part of md127`. */
  readonly users: readonly string[];
  /** What reading it came to, where it could not be read. */
  readonly unreadable: string | null;
}

/** What definitions of systemd-repart in the boot image say. */
export interface Profile {
  readonly name: string;
  /** Of its definitions. */
  readonly dir: string;
  readonly sizeBytesMin: number;
  /** Labels of the partitions that have to be there. */
  readonly labels: readonly string[];
  readonly encrypts: boolean;
  /** A program makes the table, and only then it is called the event's. */
  readonly tableByProgram?: boolean;
}

export const PARTITION = {
  esp: 'billet-esp',
  boot: 'billet-boot',
  persist: 'billet-persist',
  locked: 'billet-persist-luks',
} as const;

/** Whether the partition table is the one that this event makes. */
export const isLaidOutBy = ({ gpt }: Pick<SeenTable, 'gpt'>, event: InstallEventId): boolean =>
  gpt !== null && gpt.diskGuid === diskGuid(eventSeed(event));

/** This event is done there: the machine goes on to it. */
export const isInstalledBy = (disk: SeenTable, event: InstallEventId): boolean =>
  disk.record !== null && isFinished(disk.record) && isBegunBy(disk, event);

/** It has the partitions of this event, whatever else is missing. */
export const isBegunBy = (disk: SeenTable, event: InstallEventId): boolean =>
  disk.record?.event === event && isLaidOutBy(disk, event);

/** What is left of a table that was torn: of what is below it, nothing is found without it. */
const TORN: ReadonlySet<string> = new Set(['gpt', 'PMBR', NAMELESS]);

/**
 * Nothing is on it but what its journal began and did not end. A journal outlives its disk's reuse (the gap
 * before the first partition is nobody's), so that it counts only with what was given up when the disk was
 * claimed, with nothing after that was wiped, and then with the table that it says it made.
 */
export function isOwnBeginning(disk: SeenDisk, profiles: readonly Profile[]): boolean {
  const { record, gpt, signatures } = disk;
  if (record === null || isFinished(record)) return false;
  if (isLaidOutBy(disk, record.event)) return true;
  const { done, givenUp, profile } = record;
  const isRest = (each: Signature) => gpt === null && each.startBytes === 0 && TORN.has(each.type);
  if (!done.includes('wipe'))
    return signatures.every((each) => isRest(each) || givenUp.includes(signatureId(each)));
  const isBeingMade =
    !done.includes('partition') &&
    profiles.some(({ name, tableByProgram }) => name === profile && tableByProgram === true);
  return isBeingMade || (gpt === null && signatures.every(isRest));
}

/** The device nodes of an installed disk; null as long as one is missing. */
export function layoutOf({ disk, gpt, partitions }: SeenTable): InstalledDisk | null {
  const node = (...labels: readonly string[]): ObservedPartition | undefined => {
    const entry = gpt?.partitions.find(({ name }) => labels.includes(name));
    return partitions.find(({ startBytes }) => startBytes === entry?.startBytes);
  };
  const [esp, boot] = [node(PARTITION.esp), node(PARTITION.boot)];
  const persist = node(PARTITION.persist, PARTITION.locked);
  if (esp === undefined || boot === undefined || persist === undefined) return null;
  return { disk, esp: esp.device, boot: boot.device, persist: persist.device };
}
