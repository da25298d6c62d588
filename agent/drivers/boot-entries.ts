// The firmware's boot menu: Boot#### and BootOrder (UEFI 2.10 §3.3) in efivarfs. Adds the entry of an
// installed disk and puts it first; removes none of others.

import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { BilletError } from '#shared/errors.ts';
import { bytesOrNull, namesIn } from '../identity/source-file.ts';
import { descriptionOf, encodeLoadOption } from '../install/load-option.ts';
import type { FirmwareEntries } from '../install/ports.ts';

const GLOBAL = '8be4df61-93ca-11d2-aa0d-00e098032b8c';
/** Before a value: non-volatile, in boot services, at run time (Documentation/filesystems/efivarfs.rst). */
const ATTRIBUTES = Buffer.from([7, 0, 0, 0]);
const NUMBERS = 0x10000;

/** Those of older kinds of Linux are made immutable; these two kinds are not (efivarfs.rst). */
export function bootEntries(dir = '/sys/firmware/efi/efivars'): FirmwareEntries {
  const fileOf = (name: string) => join(dir, `${name}-${GLOBAL}`);
  const nameOf = (number: number) => `Boot${number.toString(16).toUpperCase().padStart(4, '0')}`;
  const read = async (name: string) =>
    (await bytesOrNull(fileOf(name)))?.subarray(ATTRIBUTES.length) ?? null;

  /** In one write: efivarfs takes a variable whole. One that is so already is left alone. */
  async function write(name: string, value: Buffer): Promise<void> {
    if ((await read(name))?.equals(value) === true) return;
    const bytes = Buffer.concat([ATTRIBUTES, value]);
    const handle = await open(fileOf(name), 'w', 0o644);
    try {
      await handle.write(bytes, 0, bytes.length);
    } finally {
      await handle.close();
    }
  }

  async function numbers(): Promise<number[]> {
    const names = await namesIn(dir);
    return names.flatMap((name) => {
      const digits = new RegExp(`^Boot([0-9A-F]{4})-${GLOBAL}$`).exec(name)?.[1];
      return digits === undefined ? [] : [Number.parseInt(digits, 16)];
    });
  }

  /** The number of the entry that bears this name already, or the first that is free. */
  async function numberFor(description: string): Promise<number> {
    const taken = await numbers();
    for (const number of taken) {
      const value = await read(nameOf(number));
      if (value !== null && descriptionOf(value) === description) return number;
    }
    for (let number = 0; number < NUMBERS; number += 1) if (!taken.includes(number)) return number;
    throw new TypeError('the firmware has no number left');
  }

  return {
    async startFirst(entry) {
      try {
        const number = await numberFor(entry.description);
        await write(nameOf(number), encodeLoadOption(entry));
        const order = u16s((await read('BootOrder')) ?? Buffer.alloc(0));
        await write('BootOrder', u16Bytes([number, ...order.filter((each) => each !== number)]));
      } catch (cause) {
        throw new BilletError(
          'INSTALL_STEP_FAILED',
          `the firmware takes no boot entry: ${cause instanceof Error ? cause.message : cause}`,
          { hint: 'free its variables in its set-up menu (`efibootmgr` lists them)', cause },
        );
      }
    },
  };
}

const u16s = (bytes: Buffer): number[] =>
  Array.from({ length: bytes.length >> 1 }, (_, index) => bytes.readUInt16LE(index * 2));

function u16Bytes(values: readonly number[]): Buffer {
  const bytes = Buffer.alloc(values.length * 2);
  for (const [index, value] of values.entries()) bytes.writeUInt16LE(value, index * 2);
  return bytes;
}
