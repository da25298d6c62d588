// Files of a bundle as a tar archive (POSIX.1-2017 pax, "ustar Interchange Format"), and back. The same files
// give the same bytes: sorted, owner 0, no times.

import { byteReader } from '../composefs/byte-reader.ts';
import { exactly, readTar, skip } from '../composefs/tar-read.ts';
import {
  BUNDLE_FILES_MAX,
  BUNDLE_LIMIT_BYTES,
  bundleError,
  checkedFiles,
  type FlakeFile,
} from './flake-files.ts';

const BLOCK = 512;

/** Throws NIX_BUNDLE_INVALID. */
export function flakeTar(files: readonly FlakeFile[]): Buffer {
  const parts = checkedFiles(files).flatMap((file) => {
    const content = file.kind === 'file' ? file.content : Buffer.alloc(0);
    const padding = Buffer.alloc((BLOCK - (content.length % BLOCK)) % BLOCK);
    return [header(file, content.length), content, padding];
  });
  return Buffer.concat([...parts, Buffer.alloc(2 * BLOCK)]);
}

function header(file: FlakeFile, size: number): Buffer {
  const block = Buffer.alloc(BLOCK);
  const [prefix, name] = split(file.path);
  block.write(name, 0, 100, 'utf8');
  const mode = file.kind === 'symlink' ? 0o777 : file.executable ? 0o755 : 0o644;
  octal(block, mode, 100, 8);
  octal(block, 0, 108, 8);
  octal(block, 0, 116, 8);
  octal(block, size, 124, 12);
  octal(block, 0, 136, 12);
  block.write(file.kind === 'symlink' ? '2' : '0', 156);
  if (file.kind === 'symlink') block.write(file.target, 157, 100, 'utf8');
  block.write('ustar\x0000', 257, 'latin1');
  block.write(prefix, 345, 155, 'utf8');
  // The sum counts itself as spaces.
  block.fill(' ', 148, 156);
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return block;
}

/** A name of at most 100 bytes, and what is before it. */
function split(path: string): [prefix: string, name: string] {
  if (Buffer.byteLength(path) <= 100) return ['', path];
  for (let at = path.indexOf('/'); at >= 0; at = path.indexOf('/', at + 1)) {
    const [prefix, name] = [path.slice(0, at), path.slice(at + 1)];
    if (Buffer.byteLength(prefix) <= 155 && Buffer.byteLength(name) <= 100) return [prefix, name];
  }
  throw bundleError(`the path ${path} fits into no tar header`);
}

function octal(block: Buffer, value: number, at: number, length: number): void {
  block.write(`${value.toString(8).padStart(length - 1, '0')}\0`, at, 'latin1');
}

/**
 * Whoever wrote it: leading `./` and folders are dropped. Throws NIX_BUNDLE_INVALID for anything but files
 * and links that stay inside, TAR_INVALID for what is no tar.
 */
export async function readFlakeTar(stream: AsyncIterable<Uint8Array>): Promise<FlakeFile[]> {
  const reader = byteReader(capped(stream));
  const files: FlakeFile[] = [];
  let left = BUNDLE_LIMIT_BYTES;
  const limits = {
    maxEntries: 2 * BUNDLE_FILES_MAX,
    maxMetadataBytes: 8 * 1024 * 1024,
    maxPathBytes: 1024,
    maxExtensionBytes: 64 * 1024,
  };
  await readTar(reader, limits, async (entry) => {
    // Names are bytes, one to a character.
    const path = textOf(entry.name).replace(/^(\.\/)+/, '');
    if (entry.type === '5' || path === '') return await skip(reader, entry.sizeBytes);
    if (entry.type === '2') {
      files.push({ kind: 'symlink', path, target: textOf(entry.linkName) });
      return;
    }
    if (entry.type !== '0' && entry.type !== '\0')
      throw bundleError(`${path} is neither a file, a folder nor a symbolic link`);
    left -= entry.sizeBytes;
    if (left < 0) throw bundleError(`more than ${BUNDLE_LIMIT_BYTES} bytes`);
    const content = Buffer.from(await exactly(reader, entry.sizeBytes));
    files.push({ kind: 'file', path, executable: (entry.mode & 0o100) !== 0, content });
  });
  await reader.drain();
  return checkedFiles(files);
}

/** Headers, padding and what follows the end may be as much again, and no more. */
async function* capped(stream: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let left = 2 * BUNDLE_LIMIT_BYTES;
  for await (const chunk of stream) {
    left -= chunk.length;
    if (left < 0) throw bundleError(`it unpacks to more than ${2 * BUNDLE_LIMIT_BYTES} bytes`);
    yield chunk;
  }
}

const textOf = (bytes: string): string => Buffer.from(bytes, 'latin1').toString('utf8');
