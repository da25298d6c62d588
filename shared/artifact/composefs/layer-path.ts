// Paths of layer entries as lists of names that cannot climb. Looks at no tree.

import { BilletError } from '#shared/errors.ts';
import { tarError } from './tar-header.ts';
import { type ByteString, textOfBytes } from './tree.ts';

/** Names from the root down; empty for the root itself. No `.`, no `..`, no slash, no NUL. */
export type LayerPath = readonly ByteString[];

const NAME_MAX_BYTES = 255;

export const escapeError = (message: string): BilletError =>
  new BilletError('PATH_ESCAPE', message, { hint: 'do not use this layer; build it again' });

/** Errors: PATH_ESCAPE for an absolute path or `..`, TAR_INVALID for a name that cannot be. */
export function entryPath(path: ByteString): LayerPath {
  if (path.startsWith('/')) throw escapeError(`the absolute path ${textOfBytes(path)}`);
  if (path === '') throw tarError('a tar entry without a name');
  if (path.includes('\0')) throw tarError(`a NUL in the path ${textOfBytes(path)}`);
  const names = path.split('/').filter((name) => name !== '' && name !== '.');
  for (const [index, name] of names.entries()) {
    if (name === '..') throw escapeError(`the path ${textOfBytes(path)} climbs`);
    if (name.length > NAME_MAX_BYTES) throw tarError(`a name of ${name.length} bytes`);
    if (name.startsWith('.wh.') && index < names.length - 1)
      throw tarError(`the reserved name ${textOfBytes(name)} as a directory`);
  }
  return names;
}

/** The target of a hard link: a path in the same tree. */
export function linkPath(target: ByteString, from: LayerPath): LayerPath {
  const path = entryPath(target);
  if (path.length === 0 || path.join('/') === from.join('/'))
    throw tarError(`the hard link ${textOfBytes(from.join('/'))} to ${textOfBytes(target)}`);
  return path;
}
