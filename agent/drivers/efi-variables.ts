// The firmware's own variables (UEFI 2.10 §3.3) as files of efivarfs
// (Documentation/filesystems/efivarfs.rst). What they mean, others know.

import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { bytesOrNull, namesIn } from '../identity/source-file.ts';
import { descriptionOf } from '../install/load-option.ts';

export const EFIVARS = '/sys/firmware/efi/efivars';

const GLOBAL = '8be4df61-93ca-11d2-aa0d-00e098032b8c';
/** Before a value: non-volatile, in boot services, at run time. */
const ATTRIBUTES = Buffer.from([7, 0, 0, 0]);

export interface EfiVariables {
  /** Without its attributes; null when there is none. */
  read(name: string): Promise<Buffer | null>;
  /** One that is so already is left alone. Throws the system's errors. */
  write(name: string, value: Buffer): Promise<void>;
  /** Numbers of all entries of the boot menu, in order. */
  bootNumbers(): Promise<number[]>;
  /** Of the first entry that bears this text; null when none does. */
  bootNumberOf(description: string): Promise<number | null>;
}

/** E.g. Boot001A. */
export const bootName = (number: number): string =>
  `Boot${number.toString(16).toUpperCase().padStart(4, '0')}`;

/** Older kinds of Linux make most of them immutable; those of the boot menu are not. */
export function efiVariables(dir: string): EfiVariables {
  const fileOf = (name: string) => join(dir, `${name}-${GLOBAL}`);
  const read = async (name: string) =>
    (await bytesOrNull(fileOf(name)))?.subarray(ATTRIBUTES.length) ?? null;

  async function bootNumbers(): Promise<number[]> {
    const pattern = new RegExp(`^Boot([0-9A-F]{4})-${GLOBAL}$`);
    return (await namesIn(dir)).flatMap((name) => {
      const digits = pattern.exec(name)?.[1];
      return digits === undefined ? [] : [Number.parseInt(digits, 16)];
    });
  }

  return {
    read,
    bootNumbers,
    async write(name, value) {
      if ((await read(name))?.equals(value) === true) return;
      const bytes = Buffer.concat([ATTRIBUTES, value]);
      await using handle = await open(fileOf(name), 'w', 0o644);
      // In one write: efivarfs takes a variable whole.
      await handle.write(bytes, 0, bytes.length);
    },
    async bootNumberOf(description) {
      for (const number of await bootNumbers()) {
        const value = await read(bootName(number));
        if (value !== null && descriptionOf(value) === description) return number;
      }
      return null;
    },
  };
}

/** As BootOrder and BootNext have them. */
export function u16Bytes(values: readonly number[]): Buffer {
  const bytes = Buffer.alloc(values.length * 2);
  for (const [index, value] of values.entries()) bytes.writeUInt16LE(value, index * 2);
  return bytes;
}
