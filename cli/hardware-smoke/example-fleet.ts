// The machine, image and coordinator that a clone of this tree can make by itself, for a run on QEMU
// that names no image. Loaded by its address: the CLI shares no code with it.

import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { CommandIo } from '../command-io.ts';
import type { SmokeOptions } from './request.ts';

interface ExampleFleet extends AsyncDisposable {
  readonly iso: string;
  readonly node: string;
  readonly uuid: string;
  readonly mac: string;
  readonly diskSerial: string;
}

interface Example {
  openSmokeFleet(io: CommandIo): Promise<ExampleFleet>;
}

const ENTRY = new URL('../../examples/hardware-smoke/fleet.ts', import.meta.url);

/** Null where an image is named, another transport is meant, or there is no clone around the CLI. */
export async function exampleFor(
  io: CommandIo,
  options: SmokeOptions,
): Promise<ExampleFleet | null> {
  const wanted = options.transport === 'qemu' && options.iso === undefined;
  if (!wanted || !existsSync(fileURLToPath(ENTRY))) return null;
  const example = (await import(ENTRY.href)) as Example;
  return await example.openSmokeFleet(io);
}

/** What the person said, with the machine that the example's coordinator knows. */
export const withExample = (options: SmokeOptions, fleet: ExampleFleet | null): SmokeOptions => {
  if (fleet === null) return options;
  const { iso, node, uuid, mac, diskSerial } = fleet;
  return { ...options, iso, node, uuid, mac, diskSerial };
};
