// A disk selector against one disk: what does not hold, in words. Pure.

import type { Disk } from '../schema/facts.ts';
import type { DiskSelector } from '../schema/install-plan.ts';

/**
 * One clause for each field of the selector that does not hold; none where the disk is meant. What a
 * machine does not tell of a disk does not hold.
 */
export function mismatches(selector: DiskSelector, disk: Disk): string[] {
  const { byId, serial, wwn, model, sizeBytesMin, sizeBytesMax, rotational } = selector;
  const clauses = [
    byId === undefined || disk.byId?.includes(byId) === true
      ? null
      : `its by-id names are ${disk.byId?.join(', ') || 'not known'}`,
    holds(serial, disk.serial, plain) ? null : `its serial is ${disk.serial ?? 'not known'}`,
    holds(wwn, disk.wwn, bareWwn) ? null : `its WWN is ${disk.wwn ?? 'not known'}`,
    holds(model, disk.model, plain) ? null : `its model is ${disk.model ?? 'not known'}`,
    sizeBytesMin === undefined || disk.sizeBytes >= sizeBytesMin
      ? null
      : `it has ${disk.sizeBytes} bytes, less than ${sizeBytesMin}`,
    sizeBytesMax === undefined || disk.sizeBytes <= sizeBytesMax
      ? null
      : `it has ${disk.sizeBytes} bytes, more than ${sizeBytesMax}`,
    rotational === undefined || disk.rotational === rotational
      ? null
      : `it is ${rotationWord(disk.rotational)}`,
  ];
  return clauses.filter((clause) => clause !== null);
}

/** `byId=virtio-a rotational=false` */
export const describeSelector = (selector: DiskSelector): string =>
  Object.entries(selector)
    .filter(([, value]) => value !== undefined)
    .map(([field, value]) => `${field}=${value}`)
    .join(' ');

const plain = (text: string) => text.trim().replace(/\s+/g, ' ');

/** sysfs says naa.5000…, lsblk 0x5000…, udev wwn-0x5000…: one number. */
const bareWwn = (text: string) =>
  text
    .trim()
    .toLowerCase()
    .replace(/^wwn-/, '')
    .replace(/^(naa|eui)\./, '')
    .replace(/^0x/, '');

const holds = (
  wanted: string | undefined,
  actual: string | undefined,
  normal: (text: string) => string,
): boolean => wanted === undefined || (actual !== undefined && normal(wanted) === normal(actual));

const rotationWord = (rotational: boolean | undefined): string =>
  rotational === undefined
    ? 'not known whether it rotates'
    : rotational
      ? 'rotating'
      : 'solid-state';
