// Writes a tree as composefs-dump(5), byte for byte as `composefs-info dump` prints its image.
// Sizes of directories are those that they have in the image. Writes no file.

import { escapeBytes, escapeOptional, escapeXattr } from './dump-text.ts';
import { BLOCK_BYTES } from './erofs-format.ts';
import { layout } from './erofs-layout.ts';
import { overlayTree } from './erofs-overlay.ts';
import * as tree from './tree.ts';

/** Paths in `walk` order; the first name of an inode carries it, the others are `@` links to it. */
export function formatDump(source: tree.Tree): Buffer {
  const { root, nodes } = overlayTree(source);
  const { byNode } = layout(root);
  const seen = new Map<tree.Inode, tree.ByteString>();
  const lines: string[] = [];
  for (const { path, inode } of tree.walk(source)) {
    const node = nodes.get(inode);
    const place = node && byNode.get(node);
    const nlink = node?.nlink ?? 1;
    const target = seen.get(inode);
    if (target === undefined) {
      seen.set(inode, path);
      const blocks = place ? place.blocks * BLOCK_BYTES + place.tailBytes : 0;
      lines.push(inodeLine(path, inode, nlink, blocks));
    } else {
      const mode = inode.mode.toString(8);
      lines.push(
        `${escapeBytes(path)} 0 @${mode} ${nlink} 0 0 0 0.0 ${escapeOptional(target)} - -`,
      );
    }
  }
  return Buffer.from(`${lines.join('\n')}\n`, 'latin1');
}

function inodeLine(
  path: tree.ByteString,
  inode: tree.Inode,
  nlink: number,
  directoryBytes: number,
): string {
  const { size, payload, content, digest } = dataFields(inode, directoryBytes);
  const xattrs = [...inode.xattrs].map(
    ([key, value]) => `${escapeXattr(key)}=${escapeXattr(value.toString('latin1'))}`,
  );
  return [
    escapeBytes(path),
    size,
    inode.mode.toString(8),
    nlink,
    inode.uid,
    inode.gid,
    inode.kind === 'special' ? inode.rdev : 0,
    `${inode.mtimeSec}.${inode.mtimeNsec}`,
    escapeOptional(payload),
    escapeOptional(content),
    digest ?? '-',
    ...xattrs,
  ].join(' ');
}

interface DataFields {
  readonly size: number;
  readonly payload: tree.ByteString | null;
  readonly content: tree.ByteString | null;
  readonly digest: string | null;
}

function dataFields(inode: tree.Inode, directoryBytes: number): DataFields {
  const none = { size: 0, payload: null, content: null, digest: null };
  switch (inode.kind) {
    case 'directory':
      return { ...none, size: directoryBytes };
    case 'symlink':
      return { ...none, size: inode.target.length, payload: inode.target };
    case 'special':
      return none;
    case 'file': {
      if (inode.content.kind === 'external') {
        const { sizeBytes, digestHex: digest, backingPath } = inode.content;
        const payload = backingPath ?? `${digest.slice(0, 2)}/${digest.slice(2)}`;
        return { ...none, size: sizeBytes, payload, digest };
      }
      const { bytes } = inode.content;
      if (bytes.length === 0) return none;
      return { ...none, size: bytes.length, content: bytes.toString('latin1') };
    }
  }
}
