// A tar stream as entries: long names, PAX records and xattrs are resolved, paths are not judged.
// Bodies are streamed. PAX is read as bytes, since names and xattrs need not be UTF-8.

import type { ByteReader } from './byte-reader.ts';
import {
  cString,
  type PaxRecords,
  parseHeader,
  parsePax,
  paxInteger,
  paxTime,
  TAR_BLOCK_BYTES,
  type TarHeader,
  tarError,
} from './tar-header.ts';
import type { ByteString } from './tree.ts';

export interface TarLimits {
  readonly maxEntries: number;
  /** Of all entries together: names, link targets and xattrs, with 16 for each name of a path. */
  readonly maxMetadataBytes: number;
  /** Longest path of an entry. */
  readonly maxPathBytes: number;
  /** Of the PAX headers and GNU long names of one entry together, or of one global header. */
  readonly maxExtensionBytes: number;
}

/** A regular file, hard link, symlink, device, directory or FIFO. */
export interface TarEntry extends TarHeader {
  readonly mtimeNsec: number;
  readonly xattrs: ReadonlyMap<ByteString, Buffer>;
}

/** They hold for every entry after them, and each entry looks at all. Tools write one or two. */
const GLOBAL_RECORDS_MAX = 100;
const NAME_COST_BYTES = 16;
const REGULAR = new Set(['0', '\0', '7']);
const HEADER_ONLY = new Set(['1', '2', '3', '4', '5', '6']);

/**
 * Calls `onEntry` for each entry, in order; it must read exactly `sizeBytes` from the reader.
 * Errors: TAR_INVALID.
 */
export async function readTar(
  reader: ByteReader,
  limits: TarLimits,
  onEntry: (entry: TarEntry) => Promise<void>,
): Promise<void> {
  const globals: PaxRecords = new Map();
  let locals: PaxRecords = new Map();
  let isPending = false;
  let extensionBytes = 0;
  let metadataBytes = 0;
  for (let entries = 0; ; ) {
    const header = parseHeader(await exactly(reader, TAR_BLOCK_BYTES));
    if (!header) break;
    const extension = extensionOf(header.type);
    if (extension) {
      const isGlobal = extension === 'global';
      if (!isGlobal) extensionBytes += header.sizeBytes;
      const bytes = isGlobal ? header.sizeBytes : extensionBytes;
      if (header.sizeBytes < 0 || bytes > limits.maxExtensionBytes)
        throw tarError(`extended tar headers of ${bytes} bytes`);
      await readExtension(reader, header, isGlobal ? globals : locals);
      if (globals.size > GLOBAL_RECORDS_MAX)
        throw tarError(`more than ${GLOBAL_RECORDS_MAX} global PAX records`);
      isPending ||= !isGlobal;
      continue;
    }
    entries += 1;
    if (entries > limits.maxEntries) throw tarError(`more than ${limits.maxEntries} entries`);
    const entry = resolveEntry(header, new Map([...globals, ...locals]));
    if (Math.max(entry.name.length, entry.linkName.length) > limits.maxPathBytes)
      throw tarError(`a path of more than ${limits.maxPathBytes} bytes`);
    metadataBytes += metadataBytesOf(entry);
    if (metadataBytes > limits.maxMetadataBytes)
      throw tarError(`more than ${limits.maxMetadataBytes} bytes of names and xattrs`);
    await onEntry(entry);
    await skip(reader, padding(entry.sizeBytes));
    if (locals.size > 0) locals = new Map();
    isPending = false;
    extensionBytes = 0;
  }
  if (isPending) throw tarError('the tar stream ends after a header for the next entry');
  // The end is two blocks of zeros; what follows is padding, as for tar.
  const second = await reader.take(TAR_BLOCK_BYTES);
  if (second.some((byte) => byte !== 0)) throw tarError('a block of zeros between tar entries');
  await reader.drain();
}

/** About what an entry costs in memory beside its inode. */
function metadataBytesOf({ name, linkName, xattrs }: TarEntry): number {
  let bytes = name.length + linkName.length;
  for (let at = name.indexOf('/'); at >= 0; at = name.indexOf('/', at + 1))
    bytes += NAME_COST_BYTES;
  for (const [key, value] of xattrs) bytes += key.length + value.length + NAME_COST_BYTES;
  return bytes;
}

type Extension = 'global' | 'local' | 'name' | 'link';

function extensionOf(type: string): Extension | null {
  if (type === 'g') return 'global';
  if (type === 'x') return 'local';
  if (type === 'L') return 'name';
  return type === 'K' ? 'link' : null;
}

async function readExtension(
  reader: ByteReader,
  header: TarHeader,
  records: PaxRecords,
): Promise<void> {
  const bytes = header.sizeBytes;
  const data = await exactly(reader, bytes);
  const extension = extensionOf(header.type);
  if (extension === 'global' || extension === 'local') parsePax(data, records);
  // PAX records win over GNU's long names, whatever their order.
  else if (extension === 'name') setUnlessThere(records, 'path', cString(data, 0, bytes));
  else setUnlessThere(records, 'linkpath', cString(data, 0, bytes));
  await skip(reader, padding(bytes));
}

function setUnlessThere(records: PaxRecords, key: string, value: ByteString): void {
  if (!records.has(key)) records.set(key, Buffer.from(value, 'latin1'));
}

function resolveEntry(header: TarHeader, pax: PaxRecords): TarEntry {
  const value = (key: string): Buffer | null => {
    const record = pax.get(key);
    return record && record.length > 0 ? record : null;
  };
  const text = (key: string, otherwise: ByteString): ByteString =>
    value(key)?.toString('latin1') ?? otherwise;
  const integer = (key: string, otherwise: number): number => {
    const record = value(key);
    return record ? paxInteger(record, key) : otherwise;
  };
  const mtime = value('mtime');
  const entry: TarEntry = {
    ...header,
    type: REGULAR.has(header.type) ? '0' : header.type,
    name: text('path', header.name),
    linkName: text('linkpath', header.linkName),
    uid: integer('uid', header.uid),
    gid: integer('gid', header.gid),
    sizeBytes: integer('size', header.sizeBytes),
    devMajor: integer('SCHILY.devmajor', header.devMajor),
    devMinor: integer('SCHILY.devminor', header.devMinor),
    ...(mtime ? paxTime(mtime) : { mtimeNsec: 0 }),
    xattrs: xattrsOf(pax),
  };
  // v7 tar marks directories by a slash only.
  const isDirectory = entry.type === '0' && entry.name.endsWith('/');
  checkEntry(entry, pax);
  return isDirectory ? { ...entry, type: '5' } : entry;
}

function checkEntry(entry: TarEntry, pax: PaxRecords): void {
  const { type, sizeBytes, uid, gid } = entry;
  const isSparse = type === 'S' || [...pax.keys()].some((key) => key.startsWith('GNU.sparse.'));
  if (isSparse)
    throw tarError('a sparse file in GNU form', 'build the layer without the --sparse of GNU tar');
  const isHeaderOnly = HEADER_ONLY.has(type);
  if (type !== '0' && !isHeaderOnly) throw tarError(`a tar entry of the type "${type}"`);
  // Tools disagree on whether data follow; no layer needs it.
  const hasData = isHeaderOnly || (type === '0' && entry.name.endsWith('/'));
  if (sizeBytes < 0 || (hasData && sizeBytes !== 0))
    throw tarError(`a tar entry of the type "${type}" with ${sizeBytes} bytes`);
  for (const id of [uid, gid])
    if (id < 0 || id > 0xffffffff) throw tarError(`a tar entry that ${id} owns`);
}

const SCHILY = 'SCHILY.xattr.';
const LIBARCHIVE = 'LIBARCHIVE.xattr.';

/** star's form (raw bytes) wins over libarchive's (URL-encoded key, base64 value). */
function xattrsOf(pax: PaxRecords): Map<ByteString, Buffer> {
  const xattrs = new Map<ByteString, Buffer>();
  for (const [key, value] of pax)
    if (key.startsWith(LIBARCHIVE)) {
      const name = key
        .slice(LIBARCHIVE.length)
        .replace(/%([0-9A-Fa-f]{2})/g, (_, hex: string) =>
          String.fromCharCode(Number.parseInt(hex, 16)),
        );
      xattrs.set(name, Buffer.from(value.toString('latin1'), 'base64'));
    }
  for (const [key, value] of pax)
    if (key.startsWith(SCHILY)) xattrs.set(key.slice(SCHILY.length), value);
  return xattrs;
}

const padding = (bytes: number): number =>
  (TAR_BLOCK_BYTES - (bytes % TAR_BLOCK_BYTES)) % TAR_BLOCK_BYTES;

/** Errors: TAR_INVALID if the stream ends before. */
export async function exactly(reader: ByteReader, bytes: number): Promise<Buffer> {
  const data = await reader.take(bytes);
  if (data.length < bytes) throw truncated();
  return data;
}

export async function skip(reader: ByteReader, bytes: number): Promise<void> {
  for (let left = bytes; left > 0; ) {
    const piece = await reader.some(left);
    if (piece.length === 0) throw truncated();
    left -= piece.length;
  }
}

export const truncated = (): Error =>
  tarError('the tar stream ends too early', 'pull or build the layer again');
