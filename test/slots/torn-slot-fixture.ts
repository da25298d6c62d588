// Damage to the boot slots of a disk, done from outside while its machine is off.

import assert from 'node:assert/strict';
import { open } from 'node:fs/promises';
import { parseGpt } from '../../agent/install/gpt.ts';

/** As os-release(5) in the boot image begins: the loader reads it first. */
const NAME = 'ID=billet\n';
const TORN = Buffer.alloc(4096, 0xff);

/**
 * Four kibibytes of the boot image in a slot of the disk image `path` are lost, as in a write that tore:
 * what it is called is there.
 */
export async function tearBootImage(path: string, partition: string): Promise<void> {
  const start = Buffer.alloc(64 * 1024);
  await using file = await open(path, 'r+');
  await file.read(start, 0, start.length, 0);
  const at = parseGpt(start, 512)?.partitions.find(({ name }) => name === partition);
  assert.ok(at);
  const image = Buffer.alloc(512 * 2 ** 20);
  const { bytesRead } = await file.read(image, 0, image.length, at.startBytes);
  // Everywhere: the image that was there before has left its bytes behind.
  const whole = image.subarray(0, bytesRead);
  const places: number[] = [];
  for (let from = whole.indexOf(NAME); from >= 0; from = whole.indexOf(NAME, from + 4096))
    places.push(from - (from % 512));
  assert.ok(places.length > 0);
  for (const place of places) await file.write(TORN, 0, TORN.length, at.startBytes + place);
}
