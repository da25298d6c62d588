// Puts kernel, initramfs and command line into systemd's EFI stub: a unified kernel image (UKI,
// uapi-group.org/specifications/specs/unified_kernel_image). The bytes depend on the parts only.
//
//   stub's headers, with a row for each section more | stub's sections | .osrel | .cmdline | …
//   PE format, "Section Table": a section starts in memory at a multiple of SectionAlignment, in the file
//   at one of FileAlignment

import { BilletError } from '#shared/errors.ts';

export interface UkiSection {
  /** `.osrel`, `.cmdline`, `.uname`, `.linux`, `.initrd`; at most 8 bytes. */
  readonly name: string;
  readonly content: Uint8Array;
}

const PE_SIGNATURE = 0x4550;
const PE32_PLUS = 0x20b;
const SECTION_ROW_BYTES = 40;
const SECURITY_DIRECTORY = 4;
/** Of the optional header of PE32+, without its data directories. */
const OPTIONAL_BYTES = 112;
/** IMAGE_SCN_CNT_INITIALIZED_DATA | IMAGE_SCN_MEM_READ. */
const READ_ONLY_DATA = 0x4000_0040;

const alignUp = (value: number, alignment: number) => Math.ceil(value / alignment) * alignment;

/** The UKI in pieces, in the order of the file. Throws COMMAND_FAILED for a stub that is none. */
export function unifiedKernel(stub: Uint8Array, sections: readonly UkiSection[]): Uint8Array[] {
  const image = Buffer.from(stub);
  const { count, coff, optional, table, headersEnd, sectionAlignment, fileAlignment, ends } =
    readHeaders(image);
  const rows = sections.length * SECTION_ROW_BYTES;
  const room = headersEnd - (table + count * SECTION_ROW_BYTES);
  if (room < rows)
    throw unusable(`has room for ${Math.floor(room / SECTION_ROW_BYTES)} sections more`);

  const pieces: Uint8Array[] = [image];
  let [address, offset] = [ends, image.length];
  sections.forEach(({ name, content }, i) => {
    address = alignUp(address, sectionAlignment);
    const start = alignUp(offset, fileAlignment);
    const padded = alignUp(content.length, fileAlignment);
    pieces.push(Buffer.alloc(start - offset), content, Buffer.alloc(padded - content.length));
    const row = table + (count + i) * SECTION_ROW_BYTES;
    image.fill(0, row, row + SECTION_ROW_BYTES);
    image.write(name, row, 8, 'ascii');
    image.writeUInt32LE(content.length, row + 8);
    image.writeUInt32LE(address, row + 12);
    image.writeUInt32LE(padded, row + 16);
    image.writeUInt32LE(start, row + 20);
    image.writeUInt32LE(READ_ONLY_DATA, row + 36);
    image.writeUInt32LE(image.readUInt32LE(optional + 8) + padded, optional + 8);
    address += content.length;
    offset = start + padded;
  });
  image.writeUInt16LE(count + sections.length, coff + 2);
  image.writeUInt32LE(alignUp(address, sectionAlignment), optional + 56);
  image.writeUInt32LE(0, optional + 64); // no firmware reads the checksum
  return pieces;
}

const isPowerOfTwo = (value: number) => Number.isInteger(Math.log2(value));

/** Each number is within the file before it is gone by. */
function readHeaders(image: Buffer) {
  const pe = image.length > 0x40 ? image.readUInt32LE(0x3c) : 0;
  if (pe + 264 > image.length || image.readUInt32LE(pe) !== PE_SIGNATURE)
    throw unusable('is no PE program');
  const coff = pe + 4;
  const optional = coff + 20;
  if (image.readUInt16LE(optional) !== PE32_PLUS) throw unusable('is not for 64 bits');
  const directories = image.readUInt32LE(optional + 108);
  if (
    directories > SECURITY_DIRECTORY &&
    image.readUInt32LE(optional + OPTIONAL_BYTES + SECURITY_DIRECTORY * 8) !== 0
  )
    throw unusable('is signed');
  const count = image.readUInt16LE(coff + 2);
  const table = optional + image.readUInt16LE(coff + 16);
  const [sectionAlignment = 0, fileAlignment = 0, headersEnd = 0] = [32, 36, 60].map((at) =>
    image.readUInt32LE(optional + at),
  );
  if (
    table < optional + OPTIONAL_BYTES ||
    table + count * SECTION_ROW_BYTES > headersEnd ||
    headersEnd > image.length ||
    !isPowerOfTwo(sectionAlignment) ||
    !isPowerOfTwo(fileAlignment)
  )
    throw unusable('has headers that do not fit together');
  const ends = Array.from({ length: count }, (_, i) => {
    const row = table + i * SECTION_ROW_BYTES;
    return image.readUInt32LE(row + 12) + image.readUInt32LE(row + 8);
  });
  return {
    ...{ count, coff, optional, table, headersEnd, sectionAlignment, fileAlignment },
    ends: Math.max(0, ...ends),
  };
}

const unusable = (why: string): BilletError =>
  new BilletError('COMMAND_FAILED', `the EFI stub ${why}`, {
    hint: "mend initramfs/unified-kernel.ts: it reads systemd's linuxx64.efi.stub of Debian trixie",
  });
