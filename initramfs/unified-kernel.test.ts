import assert from 'node:assert/strict';
import { test } from 'node:test';
import { unifiedKernel } from './unified-kernel.ts';

const SECTION = 4096;
const FILE = 512;

/** The smallest program with headers like those of systemd's stub: one section, room for eight rows. */
function stub(): Buffer {
  const image = Buffer.alloc(2 * FILE);
  const pe = 0x40;
  const optional = pe + 24;
  image.writeUInt32LE(pe, 0x3c);
  image.write('PE\0\0', pe);
  image.writeUInt16LE(1, pe + 6); // NumberOfSections
  image.writeUInt16LE(0x70 + 5 * 8, pe + 20); // SizeOfOptionalHeader
  image.writeUInt32LE(5, optional + 108); // NumberOfRvaAndSizes
  image.writeUInt16LE(0x20b, optional);
  image.writeUInt32LE(SECTION, optional + 32);
  image.writeUInt32LE(FILE, optional + 36);
  image.writeUInt32LE(2 * SECTION, optional + 56); // SizeOfImage
  image.writeUInt32LE(FILE, optional + 60); // SizeOfHeaders
  const row = optional + 0x70 + 5 * 8;
  image.write('.text', row);
  image.writeUInt32LE(10, row + 8);
  image.writeUInt32LE(SECTION, row + 12);
  return image;
}

const rowsOf = (image: Buffer) =>
  Array.from({ length: image.readUInt16LE(0x46) }, (_, i) => {
    const row = 0x58 + 0x70 + 5 * 8 + i * 40;
    const [size, address, stored, offset] = [8, 12, 16, 20].map((at) =>
      image.readUInt32LE(row + at),
    );
    const name = image.toString('ascii', row, row + 8).replace(/\0+$/, '');
    return { name, size, address, stored, offset };
  });

test('sections follow those of the stub, aligned in file and memory, and hold what was given', () => {
  const kernel = Buffer.alloc(5000, 'k');
  const image = Buffer.concat(
    unifiedKernel(stub(), [
      { name: '.cmdline', content: Buffer.from('quiet') },
      { name: '.linux', content: kernel },
    ]),
  );
  assert.deepEqual(rowsOf(image).slice(1), [
    { name: '.cmdline', size: 5, address: 2 * SECTION, stored: FILE, offset: 2 * FILE },
    { name: '.linux', size: 5000, address: 3 * SECTION, stored: 10 * FILE, offset: 3 * FILE },
  ]);
  assert.equal(image.toString('ascii', 2 * FILE, 2 * FILE + 5), 'quiet');
  assert.ok(image.subarray(3 * FILE, 3 * FILE + 5000).equals(kernel));
  assert.equal(image.readUInt32LE(0x58 + 56), 5 * SECTION, 'SizeOfImage');
  assert.equal(image.length % FILE, 0);
});

test('the stub itself is left as it was given', () => {
  const given = stub();
  const before = Buffer.from(given);
  unifiedKernel(given, [{ name: '.linux', content: Buffer.from('x') }]);
  assert.ok(given.equals(before));
});

test('what is no stub, is signed already or has no room is refused', () => {
  const refused = (change: (image: Buffer) => void, count: number, message: RegExp) => {
    const image = stub();
    change(image);
    const sections = Array.from({ length: count }, () => ({
      name: '.linux',
      content: Buffer.from('x'),
    }));
    assert.throws(() => unifiedKernel(image, sections), { code: 'COMMAND_FAILED', message });
  };
  refused((image) => image.fill(0), 1, /is no PE program/);
  refused((image) => image.writeUInt16LE(0x10b, 0x58), 1, /is not for 64 bits/);
  refused(() => undefined, 9, /has room for/);
  refused((image) => image.writeUInt32LE(1, 0x58 + 112 + 32), 1, /is signed/);
  const broken = /do not fit together/;
  refused((image) => image.writeUInt16LE(0xffff, 0x46), 1, broken); // sections past the end
  refused((image) => image.writeUInt16LE(0xffff, 0x54), 1, broken); // their table past the end
  refused((image) => image.writeUInt32LE(1 << 20, 0x58 + 60), 1, broken); // headers past the end
  refused((image) => image.writeUInt32LE(0, 0x58 + 32), 1, broken); // no alignment
  refused((image) => image.writeUInt32LE(513, 0x58 + 36), 1, broken);
});
