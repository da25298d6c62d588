// The files of a flake bundle, and what they may be: nothing that leads out of the folder that they are
// unpacked into. Rules only; reads and writes nothing.

import { posix } from 'node:path';
import { BilletError } from '../../errors.ts';

export type FlakeFile = { readonly path: string } & (
  | { readonly kind: 'file'; readonly executable: boolean; readonly content: Uint8Array }
  | { readonly kind: 'symlink'; readonly target: string }
);

/** A flake is text: what needs more belongs into a binary cache. */
export const BUNDLE_LIMIT_BYTES = 16 * 1024 * 1024;
export const BUNDLE_FILES_MAX = 10_000;
const PATH_MAX_BYTES = 255;
const PATH = /^[^\0/]+(\/[^\0/]+)*$/;

export const bundleError = (message: string): BilletError =>
  new BilletError('NIX_BUNDLE_INVALID', message, {
    hint: 'bundle the folder of a flake: `billet bundle push DIR REPOSITORY:TAG`, without what it builds',
  });

/** Sorted by path. Throws NIX_BUNDLE_INVALID, naming the file. */
export function checkedFiles(files: readonly FlakeFile[]): FlakeFile[] {
  if (files.length > BUNDLE_FILES_MAX)
    throw bundleError(`${files.length} files, at most ${BUNDLE_FILES_MAX} fit`);
  const byPath = new Map<string, FlakeFile>();
  let bytes = 0;
  for (const file of files) {
    assertPath(file.path);
    if (byPath.has(file.path)) throw bundleError(`${file.path} stands twice`);
    byPath.set(file.path, file);
    if (file.kind === 'symlink') assertLink(file.path, file.target);
    else bytes += file.content.length;
  }
  if (bytes > BUNDLE_LIMIT_BYTES)
    throw bundleError(`${bytes} bytes, at most ${BUNDLE_LIMIT_BYTES} fit`);
  for (const { path } of files)
    for (let dir = posix.dirname(path); dir !== '.'; dir = posix.dirname(dir))
      if (byPath.has(dir)) throw bundleError(`${path} lies below ${dir}, which is no folder`);
  if (byPath.get('flake.nix')?.kind !== 'file') throw bundleError('there is no flake.nix');
  return [...byPath.values()].sort((a, b) => (a.path < b.path ? -1 : 1));
}

function assertPath(path: string): void {
  const names = path.split('/');
  if (names.some((name) => name === '.' || name === '..') || !PATH.test(path))
    throw bundleError(`the path ${JSON.stringify(path)} leads elsewhere`);
  if (names.includes('.git')) throw bundleError(`${path}: a repository is no part of a bundle`);
  if (Buffer.byteLength(path) > PATH_MAX_BYTES)
    throw bundleError(`the path ${path} is longer than ${PATH_MAX_BYTES} bytes`);
}

function assertLink(path: string, target: string): void {
  const end = posix.normalize(posix.join(posix.dirname(path), target));
  if (target !== '' && !target.startsWith('/') && end !== '..' && !end.startsWith('../')) {
    if (Buffer.byteLength(target) <= 100) return;
    throw bundleError(`the link ${path} has a target longer than 100 bytes`);
  }
  throw bundleError(`the link ${path} leads to ${JSON.stringify(target)}, out of the bundle`);
}
