// A tree as a tar in PAX form, every attribute in it. Imported by tests only.

import type { RandomTree } from './random-tree-testing.ts';
import { TAR_END, type TarPart, tarPart } from './tar-testing.ts';
import * as tree from './tree.ts';

/** Sockets have no place in a tar, and end as an error. */
export function tarOfTree({ tree: source, objects }: RandomTree): Buffer {
  const firstNames = new Map<tree.Inode, string>();
  const parts: Buffer[] = [];
  for (const { path, inode } of tree.walk(source)) {
    const name = path === '/' ? './' : path.slice(1);
    const first = firstNames.get(inode);
    if (first === undefined) firstNames.set(inode, name);
    const part: TarPart = first === undefined ? whole(inode, objects) : { type: '1' };
    const pax = first === undefined ? metadata(inode) : { linkpath: first };
    parts.push(tarPart({ ...part, name: 'in-pax', pax: { ...pax, path: name } }));
  }
  return Buffer.concat([...parts, TAR_END]);
}

function metadata(inode: tree.Inode): Record<string, string> {
  const xattrs = [...inode.xattrs].map(([key, value]): [string, string] => [
    `SCHILY.xattr.${key}`,
    value.toString('latin1'),
  ]);
  return {
    uid: String(inode.uid),
    gid: String(inode.gid),
    mtime: paxTime(inode),
    ...(inode.kind === 'symlink' ? { linkpath: inode.target } : {}),
    ...Object.fromEntries(xattrs),
  };
}

/** Decimal, as -0.25 for 750 ms after second -1. */
function paxTime({ mtimeSec, mtimeNsec }: tree.Metadata): string {
  const total = BigInt(mtimeSec) * 1_000_000_000n + BigInt(mtimeNsec);
  const absolute = total < 0n ? -total : total;
  const fraction = String(absolute % 1_000_000_000n).padStart(9, '0');
  return `${total < 0n ? '-' : ''}${absolute / 1_000_000_000n}.${fraction}`;
}

function whole(inode: tree.Inode, objects: RandomTree['objects']): TarPart {
  const mode = inode.mode & 0o7777;
  switch (inode.kind) {
    case 'directory':
      return { type: '5', mode };
    case 'symlink':
      return { type: '2', mode };
    case 'file':
      return { type: '0', mode, body: contentOf(inode.content, objects) };
    case 'special':
      return { type: specialType(inode.mode), mode, device: deviceOf(inode.rdev) };
  }
}

function contentOf(content: tree.FileContent, objects: RandomTree['objects']): Buffer {
  if (content.kind === 'inline') return content.bytes;
  const bytes = objects.get(content.digestHex);
  if (!bytes) throw new RangeError(`no object ${content.digestHex}`);
  return bytes;
}

function specialType(mode: number): string {
  const types = new Map([
    [tree.S_IFCHR, '3'],
    [tree.S_IFBLK, '4'],
    [tree.S_IFIFO, '6'],
  ]);
  const type = types.get(mode & tree.S_IFMT);
  if (type === undefined) throw new RangeError(`a tar has no mode ${mode.toString(8)}`);
  return type;
}

/** `major` and `minor` of glibc, 32 bits. */
const deviceOf = (rdev: number): [number, number] => [
  (rdev >>> 8) & 0xfff,
  (rdev & 0xff) | ((rdev >>> 12) & 0xfff00),
];
