// The files of a flake from a folder or a tar. Leaves out what is no part of it: .git, and what builds leave.

import { createReadStream } from 'node:fs';
import { lstat, readdir, readFile, readlink } from 'node:fs/promises';
import { join } from 'node:path';
import { BUNDLE_FILES_MAX, bundleError, type FlakeFile } from '#shared/artifact/nix/flake-files.ts';
import { readFlakeTar } from '#shared/artifact/nix/flake-tar.ts';
import { BilletError } from '#shared/errors.ts';

const LEFT_OUT = /^(\.git|\.direnv|node_modules|result(-.*)?)$/;

/** Throws NIX_BUNDLE_INVALID, TAR_INVALID, ARGUMENT_INVALID. */
export async function readFlake(path: string): Promise<FlakeFile[]> {
  const stat = await lstat(path).catch((cause: unknown) => {
    throw new BilletError('ARGUMENT_INVALID', `cannot read ${path}`, {
      hint: 'name a folder with flake.nix, or a tar of one',
      cause,
    });
  });
  if (!stat.isDirectory()) return await readFlakeTar(createReadStream(path));
  const files: FlakeFile[] = [];
  await collect(path, '', files);
  return files;
}

async function collect(root: string, below: string, files: FlakeFile[]): Promise<void> {
  for (const entry of await readdir(join(root, below), { withFileTypes: true })) {
    if (LEFT_OUT.test(entry.name)) continue;
    const path = below === '' ? entry.name : `${below}/${entry.name}`;
    if (files.length > BUNDLE_FILES_MAX) throw bundleError(`more than ${BUNDLE_FILES_MAX} files`);
    if (entry.isDirectory()) await collect(root, path, files);
    else files.push(await read(root, path));
  }
}

async function read(root: string, path: string): Promise<FlakeFile> {
  const stat = await lstat(join(root, path));
  if (stat.isSymbolicLink())
    return { kind: 'symlink', path, target: await readlink(join(root, path)) };
  if (!stat.isFile()) throw bundleError(`${path} is neither a file nor a link`);
  const content = await readFile(join(root, path));
  return { kind: 'file', path, executable: (stat.mode & 0o100) !== 0, content };
}
