// The firmware's boot menu: Boot#### and BootOrder (UEFI 2.10 §3.3). Adds the entry of an installed disk and
// puts it first; removes none of others.

import { BilletError } from '#shared/errors.ts';
import { encodeLoadOption } from '../install/load-option.ts';
import type { FirmwareEntries } from '../install/ports.ts';
import { bootName, EFIVARS, type EfiVariables, efiVariables, u16Bytes } from './efi-variables.ts';

const NUMBERS = 0x10000;

export function bootEntries(dir = EFIVARS): FirmwareEntries {
  const variables = efiVariables(dir);
  return {
    async startFirst(entry) {
      try {
        const number =
          (await variables.bootNumberOf(entry.description)) ?? (await freeNumber(variables));
        await variables.write(bootName(number), encodeLoadOption(entry));
        const order = u16s((await variables.read('BootOrder')) ?? Buffer.alloc(0));
        const others = order.filter((each) => each !== number);
        await variables.write('BootOrder', u16Bytes([number, ...others]));
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

async function freeNumber({ bootNumbers }: EfiVariables): Promise<number> {
  const taken = new Set(await bootNumbers());
  for (let number = 0; number < NUMBERS; number += 1) if (!taken.has(number)) return number;
  throw new TypeError('the firmware has no number left');
}

const u16s = (bytes: Buffer): number[] =>
  Array.from({ length: bytes.length >> 1 }, (_, index) => bytes.readUInt16LE(index * 2));
