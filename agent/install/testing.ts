// Disks and orders for tests of the installer's pure parts. Imported by tests only.

import { Digest } from '#shared/digest.ts';
import { InstanceId } from '#shared/schema/ids.ts';
import { InstallOrder } from '#shared/schema/install-plan.ts';
import type { InstallStep } from '#shared/schema/install-report.ts';
import { diskGuid, eventSeed } from './event-ids.ts';
import type { PlanRequest } from './plan.ts';
import { InstallRecord } from './record.ts';
import { PARTITION, type Profile, type SeenDisk } from './seen.ts';

export const EVENT = 'ie-0123456789abcdef';
export const OTHER_EVENT = 'ie-fedcba9876543210';
const INSTANCE = InstanceId.parse('i-0123456789abcdef');
const GIB = 2 ** 30;

const PROFILES: readonly Profile[] = [
  {
    ...{ name: 'single-disk', dir: '/profiles/single-disk', sizeBytesMin: 2 * GIB },
    ...{ labels: [PARTITION.esp, PARTITION.boot, PARTITION.persist], encrypts: false },
  },
  {
    ...{ name: 'single-disk-encrypted', dir: '/profiles/encrypted', sizeBytesMin: 2 * GIB },
    ...{ labels: [PARTITION.esp, PARTITION.boot, PARTITION.locked], encrypts: true },
  },
];

export function seenDisk(name: string, more: Partial<SeenDisk> = {}): SeenDisk {
  const serial = `serial-${name}`;
  return {
    disk: { name, sizeBytes: 8 * GIB, serial, byId: [`virtio-${serial}`], readOnly: false },
    ...{ device: `/dev/${name}`, sectorBytes: 512, partitions: [], holders: [] },
    ...{ signatures: [], gpt: null, record: null, bootMedium: false, holdsData: false },
    ...{ users: [], unreadable: null },
    ...more,
  };
}

export const record = (
  done: readonly InstallStep[],
  more: Partial<Record<keyof InstallRecord, unknown>> = {},
): InstallRecord =>
  InstallRecord.parse({
    ...{ format: 1, sequence: 1, instance: INSTANCE, event: EVENT, profile: 'single-disk' },
    ...{ done, givenUp: [], recoveryKey: null, ...more },
  });

/** As step `partition` leaves it. */
export const laidOut = (event = EVENT): Pick<SeenDisk, 'gpt' | 'signatures'> => ({
  gpt: { diskGuid: diskGuid(eventSeed(event)), partitions: [] },
  signatures: [{ startBytes: 0, offset: '0x200', type: 'gpt' }],
});

const digest = Digest.parse(`sha256:${'a'.repeat(64)}`);
const IMAGE = {
  ...{ repository: 'boot', manifest: digest, kernel: digest, initramfs: digest, uki: digest },
  ...{ loader: digest, kernelRelease: '6.12.1', commandLine: '' },
};

export const planRequest = (
  disks: readonly SeenDisk[],
  plan: Readonly<Record<string, unknown>> = {},
  more: Partial<PlanRequest> = {},
): PlanRequest => ({
  order: InstallOrder.parse({
    event: EVENT,
    plan: { profile: 'single-disk', disk: { serial: 'serial-vda' }, ...plan },
  }),
  ...{ instance: INSTANCE, bootImage: IMAGE, firmware: 'uefi', disks, profiles: PROFILES },
  ...more,
});
