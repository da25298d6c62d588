// One entry in the native protocol of journald (systemd.io/JOURNAL_NATIVE_PROTOCOL). Encodes; sends
// nothing.

/** Over about 207 KiB a datagram is refused with EMSGSIZE. */
const ENTRY_MAX_BYTES = 200 * 1024;
const NAME = /^[A-Z0-9][A-Z0-9_]{0,63}$/;

/**
 * `KEY=value` lines; a value with a newline goes with its length in front, so that no value can
 * become a field. Fields whose names journald would refuse are left out. Long values are cut.
 */
export function encodeEntry(fields: Readonly<Record<string, string>>): Buffer {
  const parts: Buffer[] = [];
  let room = ENTRY_MAX_BYTES;
  for (const [name, value] of Object.entries(fields)) {
    if (!NAME.test(name)) continue;
    const bytes = encodeField(name, Buffer.from(value).subarray(0, Math.max(0, room - 128)));
    room -= bytes.length;
    if (room > 0) parts.push(bytes);
  }
  return Buffer.concat(parts);
}

function encodeField(name: string, value: Buffer): Buffer {
  if (!value.includes(0x0a)) return Buffer.concat([Buffer.from(`${name}=`), value, NEWLINE]);
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(value.length));
  return Buffer.concat([Buffer.from(`${name}\n`), length, value, NEWLINE]);
}

const NEWLINE = Buffer.from('\n');

/** The same for stderr, where journald reads `<n>` as the priority: one line, whatever the text. */
export function encodeLine(priority: number, text: string): string {
  return `<${priority}>${text.replace(/\p{Cc}+/gu, ' ').trim()}\n`;
}
