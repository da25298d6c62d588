// Trees for tests: short ways to write inodes, and random trees for properties. Imported by tests
// only.

import fc from 'fast-check';
import * as tree from './tree.ts';

const metadata = (mode: number): tree.Metadata => ({
  mode,
  uid: 0,
  gid: 0,
  mtimeSec: 1_700_000_000,
  mtimeNsec: 0,
  xattrs: new Map(),
});

type Changes = Partial<tree.Metadata>;

export const fileOf = (text: string, changes: Changes = {}): tree.RegularFile => ({
  ...metadata(tree.S_IFREG | 0o644),
  ...changes,
  kind: 'file',
  content: { kind: 'inline', bytes: Buffer.from(text) },
});

export const linkTo = (target: string, changes: Changes = {}): tree.Symlink => ({
  ...metadata(tree.S_IFLNK | 0o777),
  ...changes,
  kind: 'symlink',
  target,
});

export const directoryOf = (
  children: Readonly<Record<string, tree.Inode>>,
  changes: Changes = {},
): tree.Directory => ({
  ...metadata(tree.S_IFDIR | 0o755),
  ...changes,
  kind: 'directory',
  children: new Map(Object.entries(children)),
});

export const treeOf = (children: Readonly<Record<string, tree.Inode>>): tree.Tree => ({
  root: directoryOf(children),
});

const byteString = (options: { minLength: number; maxLength: number }, low: number) =>
  fc
    .array(fc.integer({ min: low, max: 255 }), options)
    .map((bytes) => String.fromCharCode(...bytes));

const name = fc
  .oneof(
    byteString({ minLength: 1, maxLength: 255 }, 1),
    fc.constantFrom('a', 'b', '00', 'ff', 'usr', '..a', '-'),
  )
  .map((text) => text.replaceAll('/', '_'))
  .filter((text) => text !== '.' && text !== '..');

const xattrs = fc
  .array(
    fc.tuple(
      fc.constantFrom(
        'user.a',
        'user.k',
        'trusted.overlay.opaque',
        'trusted.t',
        'security.capability',
        'system.posix_acl_access',
        'odd.key',
      ),
      fc.oneof(fc.constant('shared'), byteString({ minLength: 0, maxLength: 200 }, 0)),
    ),
    { maxLength: 4 },
  )
  .map((list) => new Map(list.map(([key, value]) => [key, Buffer.from(value, 'latin1')])));

const anyMetadata = (type: number) =>
  fc.record({
    mode: fc.integer({ min: 0, max: 0o7777 }).map((bits) => type | bits),
    uid: fc.constantFrom(0, 1, 65_535, 65_536, 4_294_967_295),
    gid: fc.constantFrom(0, 1000, 70_000),
    mtimeSec: fc.constantFrom(0, -1, 1_700_000_000, 4_102_444_800),
    mtimeNsec: fc.constantFrom(0, 1, 999_999_999),
    xattrs,
  });

const content: fc.Arbitrary<tree.FileContent> = fc.oneof(
  fc
    .uint8Array({ maxLength: 64 })
    .map((bytes): tree.FileContent => ({ kind: 'inline', bytes: Buffer.from(bytes) })),
  fc.record({
    kind: fc.constant('external' as const),
    sizeBytes: fc.oneof(fc.integer({ min: 65, max: 10_000 }), fc.constantFrom(2 ** 32, 2 ** 45)),
    digestHex: fc.constantFrom('ab'.repeat(32), 'cd'.repeat(32), '01'.repeat(32)),
  }),
);

const file = fc
  .tuple(anyMetadata(tree.S_IFREG), content)
  .map(([meta, data]): tree.Inode => ({ ...meta, kind: 'file', content: data }));
const symlink = fc
  .tuple(anyMetadata(tree.S_IFLNK), byteString({ minLength: 1, maxLength: 300 }, 1))
  .map(([meta, target]): tree.Inode => ({ ...meta, kind: 'symlink', target }));
const special = fc
  .constantFrom(tree.S_IFCHR, tree.S_IFBLK, tree.S_IFIFO, tree.S_IFSOCK)
  .chain((type) => {
    const isDevice = type === tree.S_IFCHR || type === tree.S_IFBLK;
    const rdev = isDevice ? fc.constantFrom(0, 259, 0xfffffff) : fc.constant(0);
    return fc.tuple(anyMetadata(type), rdev);
  })
  .map(([meta, rdev]): tree.Inode => ({ ...meta, kind: 'special', rdev }));
const leaf = fc.oneof(file, symlink, special);

/** All kinds of inodes, awkward names, shared xattrs, and some hard links. */
export const anyTree: fc.Arbitrary<tree.Tree> = fc
  .tuple(leaf, directoryArbitrary(3))
  .map(([shared, root]) => {
    const children = new Map<string, tree.Inode>([...root.children].slice(0, 300));
    const names = [...children.keys()].filter((_, index) => index % 5 === 4);
    for (const hardLink of names) children.set(hardLink, shared);
    return { root: { ...root, children } };
  });

function directoryArbitrary(depth: number): fc.Arbitrary<tree.Directory> {
  const child: fc.Arbitrary<tree.Inode> =
    depth === 0 ? leaf : fc.oneof({ weight: 3, arbitrary: leaf }, directoryArbitrary(depth - 1));
  const children = fc.array(fc.tuple(name, child), { maxLength: depth === 3 ? 60 : 8 });
  return fc
    .tuple(anyMetadata(tree.S_IFDIR), children)
    .map(([meta, list]) => ({ ...meta, kind: 'directory' as const, children: new Map(list) }));
}
