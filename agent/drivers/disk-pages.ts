// What a disk says of itself in binary: the ATA IDENTIFY DEVICE data, and SCSI designators. Parses;
// reads nothing.

export interface AtaIdentity {
  readonly model: string;
  readonly serial: string | undefined;
  /** 16 hexadecimal digits. */
  readonly wwn: string | undefined;
}

/** In VPD page 0x89 (SAT-4 §12.4.2) the IDENTIFY data (ACS-4 §7.13) begin here. */
const IDENTIFY_OFFSET = 60;
const IDENTIFY_BYTES = 512;

/** Null when the page is cut short. */
export function ataIdentity(page: Buffer): AtaIdentity | null {
  const words = page.subarray(IDENTIFY_OFFSET, IDENTIFY_OFFSET + IDENTIFY_BYTES);
  if (words.length < IDENTIFY_BYTES) return null;
  const text = (first: number, last: number) =>
    Buffer.from(words.subarray(first * 2, (last + 1) * 2))
      .swap16()
      .toString('latin1')
      .replaceAll('\0', ' ')
      .trim();
  const model = text(27, 46);
  if (model === '') return null;
  const wwn = [108, 109, 110, 111]
    .map((word) =>
      words
        .readUInt16LE(word * 2)
        .toString(16)
        .padStart(4, '0'),
    )
    .join('');
  return { model, serial: text(10, 19) || undefined, wwn: /^5/.test(wwn) ? wwn : undefined };
}

export interface ScsiIdentity {
  /** Designator type as scsi_id writes it in front: 0 vendor specific, 1 T10, 2 EUI-64, 3 NAA. */
  readonly kind: string;
  readonly id: string;
  /** Hexadecimal digits of an NAA designator. */
  readonly wwn: string | undefined;
}

interface Designator {
  readonly type: number;
  readonly binary: boolean;
  readonly bytes: Buffer;
}

/** scsi_id's order: NAA (registered extended before registered before the rest), EUI-64, T10, vendor's. */
const rank = ({ type, bytes }: Designator): number => {
  if (type !== 3) return [9, 8, 7][type] ?? 99;
  return [6, 5].indexOf((bytes[0] ?? 0) >> 4) + 1 || 3;
};

/** The designator of the logical unit in VPD page 0x83 (SPC-5 §7.7.6) that scsi_id takes; null if none. */
export function scsiIdentity(page: Buffer | undefined): ScsiIdentity | null {
  if (page === undefined || page.length < 4) return null;
  const [best] = designators(page)
    .filter((each) => rank(each) < 99)
    .sort((a, b) => rank(a) - rank(b));
  if (best === undefined) return null;
  const { type, binary, bytes } = best;
  const id = binary ? bytes.toString('hex') : bytes.toString('latin1').replaceAll('\0', '');
  return { kind: String(type), id, wwn: type === 3 ? id : undefined };
}

function designators(page: Buffer): Designator[] {
  const found: Designator[] = [];
  const end = Math.min(page.length, 4 + page.readUInt16BE(2));
  for (let at = 4; at + 4 <= end; at += 4 + (page[at + 3] ?? 0)) {
    const association = ((page[at + 1] ?? 0) >> 4) & 3;
    const bytes = page.subarray(at + 4, Math.min(end, at + 4 + (page[at + 3] ?? 0)));
    const codeSet = (page[at] ?? 0) & 0xf;
    if (association === 0 && bytes.length > 0)
      found.push({ type: (page[at + 1] ?? 0) & 0xf, binary: codeSet === 1, bytes });
  }
  return found;
}
