// Broken and hostile inputs from a seed, and what has to hold for every one of them. The same seed
// makes the same input again. Imported by tests only.

import { BilletError, type Code } from '#shared/errors.ts';
import { formatDump } from './dump.ts';
import { parseDump } from './dump-parse.ts';
import { readErofs } from './erofs-read.ts';
import { composeImage } from './image.ts';
import { treeOfLayers } from './layer-apply.ts';
import { mergeModules } from './merge.ts';
import type { Random } from './random-testing.ts';
import { layerOf } from './tar-testing.ts';
import * as tree from './tree.ts';

/** What became of an input: it was read, or refused with this code. */
export type Outcome = 'read' | Code;

/** A tar stream as one layer, and all that is done with its tree. Throws what must not happen. */
export async function judgeTar(bytes: Buffer): Promise<Outcome> {
  return await judge(['TAR_INVALID', 'PATH_ESCAPE', 'COMPOSEFS_FORMAT'], async () => {
    const made = treeOfLayers([await layerOf(bytes)]);
    assertContained(made);
    assertContained(readErofs(composeImage(made).bytes));
  });
}

/** An image, and all that is done with its tree. Throws what must not happen. */
export async function judgeImage(bytes: Buffer): Promise<Outcome> {
  return await judge(['COMPOSEFS_FORMAT'], async () => {
    const made = readErofs(bytes);
    assertContained(made);
    parseDump(formatDump(made));
    composeImage(made);
    mergeModules([{ name: 'one', priority: 0, replaces: [], tree: made }]);
  });
}

/** A dump as `billet composefs image --from-file` takes it. Throws what must not happen. */
export async function judgeDump(bytes: Buffer): Promise<Outcome> {
  return await judge(['COMPOSEFS_FORMAT'], async () => {
    const made = parseDump(bytes);
    assertContained(made);
    composeImage(made);
  });
}

async function judge(allowed: readonly Code[], work: () => Promise<void>): Promise<Outcome> {
  try {
    await work();
    return 'read';
  } catch (error) {
    if (!(error instanceof BilletError) || !allowed.includes(error.code)) throw error;
    if (error.hint === '') throw new Error(`no hint: ${error.message}`);
    return error.code;
  }
}

/** No name that could lead elsewhere, no type that is none. */
function assertContained(made: tree.Tree): void {
  for (const { path, inode } of tree.walk(made)) {
    if (inode.kind !== 'directory') continue;
    for (const name of inode.children.keys())
      if (/^\.{0,2}$|[/\0]/.test(name) || name.length > 255)
        throw new Error(`the name ${tree.textOfBytes(name)} in ${tree.textOfBytes(path)}`);
  }
}

/** Flipped, swapped, doubled, missing and foreign pieces; at least one. */
export function mutated(random: Random, source: Buffer, blockBytes: number): Buffer {
  let bytes: Buffer = Buffer.from(source);
  for (let left = random.pick([1, 1, 1, 2, 4]); left > 0; left -= 1)
    bytes = mutatedOnce(random, bytes, blockBytes);
  return bytes;
}

const EDGES = [0, 1, 0x7f, 0x80, 0xff];

function mutatedOnce(random: Random, bytes: Buffer, blockBytes: number): Buffer {
  const blocks = Math.max(1, Math.floor(bytes.length / blockBytes));
  const block = (): number => random.int(0, blocks - 1) * blockBytes;
  const at = (): number => random.int(0, Math.max(0, bytes.length - 1));
  switch (random.int(0, 11)) {
    case 0:
    case 1:
    case 2:
    case 3:
    case 4:
      for (let flips = random.pick([1, 1, 2, 12]); flips > 0; flips -= 1)
        bytes[at()] = random.chance(0.5) ? random.pick(EDGES) : random.int(0, 255);
      return bytes;
    case 5:
    case 6: {
      // A number anywhere: numbers decide where a reader looks next.
      const offset = random.int(0, Math.max(0, bytes.length - 8)) & ~1;
      const width = random.pick([2, 4, 6]);
      if (offset + width <= bytes.length)
        bytes.writeUIntLE(
          random.pick([0, 1, 2 ** (8 * width) - 1, random.int(0, 0xffff)]),
          offset,
          width,
        );
      return bytes;
    }
    case 7: {
      const [a, b] = [block(), block()];
      const kept = Buffer.from(bytes.subarray(a, a + blockBytes));
      bytes.copy(bytes, a, b, b + blockBytes);
      kept.copy(bytes, b);
      return bytes;
    }
    case 8: {
      const [to, from] = [block(), block()];
      const piece = bytes.subarray(from, from + blockBytes * random.int(1, 3));
      return Buffer.concat([bytes.subarray(0, to), piece, bytes.subarray(to)]);
    }
    case 9: {
      const from = block();
      return Buffer.concat([bytes.subarray(0, from), bytes.subarray(from + blockBytes)]);
    }
    case 10:
      return Buffer.from(bytes.subarray(0, at()));
    default: {
      const from = at();
      const length = random.int(1, 64);
      random.bytes(length).copy(bytes, from);
      return bytes;
    }
  }
}
