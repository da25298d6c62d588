// `billet composefs digest|image|dump`: what composefs' own tools say of a tree, to compare with.
// Needs no root, no coordinator and no other tool; changes nothing but the file named with -o.

import { randomUUID } from 'node:crypto';
import { rename, rm, writeFile } from 'node:fs/promises';
import { Command } from 'commander';
import { formatDump } from '#shared/artifact/composefs/dump.ts';
import { readErofs } from '#shared/artifact/composefs/erofs-read.ts';
import { composeImage } from '#shared/artifact/composefs/image.ts';
import { objectsOf, type Tree } from '#shared/artifact/composefs/tree.ts';
import type { CommandIo } from '../command-io.ts';
import { emit } from '../output.ts';
import { withExamples } from '../remote.ts';
import { type InputOptions, readInput } from './composefs/input.ts';

interface Options extends InputOptions {
  readonly json?: boolean;
}

const ABOUT = `
The input is told by its content: a directory (read with all xattrs, as
mkcomposefs reads it), an OCI layout, a layer tar (plain, gzip or zstd), a
composefs image, or with --from-file a composefs dump. Digests and images are
those of composefs' C tools 1.0.8 with default options. Layers are taken as
they are; directories that no layer names have mode 0755, owner 0:0, time 0.`;

export function composefsCommand(io: CommandIo): Command {
  const command = new Command('composefs')
    .description('Digests, images and dumps of file trees, as composefs makes them.')
    .addHelpText('after', ABOUT);
  input(
    command,
    'digest',
    'Print the fs-verity digest of the image of a tree.',
    'layer.tar.zst',
  ).action(async (path: string, options: Options) => {
    const tree = await readInput(path, options);
    const { digest, bytes } = composeImage(tree);
    const summary = { digest, imageBytes: bytes.length, ...objectSummary(tree) };
    emit(io, options.json === true, summary, () => [digest]);
  });
  const image = input(
    command,
    'image',
    'Write the EROFS image of a tree to a file.',
    'rootfs/ -o rootfs.erofs',
  );
  image
    .requiredOption('-o, --output <file>', 'where the image goes; replaced whole')
    .action(async (path: string, options: Options & { readonly output: string }) => {
      const tree = await readInput(path, options);
      const { digest, bytes } = composeImage(tree);
      await replaceFile(options.output, bytes);
      const summary = {
        digest,
        output: options.output,
        imageBytes: bytes.length,
        ...objectSummary(tree),
      };
      emit(io, options.json === true, summary, () => [`${digest}  ${options.output}`]);
    });
  input(
    command,
    'dump',
    'Print a tree as a composefs dump, one line a path.',
    'layout/ --tag latest',
  ).action(async (path: string, options: Options) => {
    // By way of the image: the dump of what others get to read.
    const { bytes, digest } = composeImage(await readInput(path, options));
    const dump = formatDump(readErofs(bytes)).toString('latin1');
    emit(io, options.json === true, { digest, dump }, () => [dump.trimEnd()]);
  });
  return withExamples(
    command,
    'billet composefs digest layer.tar.zst',
    'billet composefs image rootfs/ -o rootfs.erofs',
    'billet composefs dump build/layout --tag latest',
    'billet composefs digest --from-file tree.dump',
  );
}

function input(command: Command, name: string, description: string, example: string): Command {
  const child = command
    .command(name)
    .description(description)
    .argument('<input>', 'a directory, OCI layout, layer tar, image, or dump')
    .option('--from-file', 'the input is a composefs dump')
    .option('--tag <tag>', 'which image of an OCI layout')
    .option('--json', 'print JSON for programs');
  return withExamples(child, `billet composefs ${name} ${example}`);
}

function objectSummary(tree: Tree): { readonly objects: number; readonly objectBytes: number } {
  const sizes = [...objectsOf(tree).values()];
  return { objects: sizes.length, objectBytes: sizes.reduce((sum, size) => sum + size, 0) };
}

/** Nobody sees half a file. */
async function replaceFile(path: string, bytes: Uint8Array): Promise<void> {
  const partial = `${path}.${randomUUID()}.partial`;
  try {
    await writeFile(partial, bytes, { flag: 'wx' });
    await rename(partial, path);
  } finally {
    await rm(partial, { force: true });
  }
}
