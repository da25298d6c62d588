// A text message as the one unfragmented frame that a server sends (RFC 6455 §5.2: no mask, no
// extension). Writes nothing.
//
//   0x81 FIN, text | length < 126, or 126 and 16 bits, or 127 and 64 bits | UTF-8

const TEXT = 0x81;
const SHORT_MAX = 125;
const MEDIUM_MAX = 0xffff;
const MEDIUM = 126;
const LONG = 127;

/** In one buffer, so that it becomes one write, and one TLS record when it is small. */
export function textFrame(text: string): Buffer {
  const length = Buffer.byteLength(text);
  const head = length <= SHORT_MAX ? 2 : length <= MEDIUM_MAX ? 4 : 10;
  const frame = Buffer.allocUnsafe(head + length);
  frame[0] = TEXT;
  if (length <= SHORT_MAX) frame[1] = length;
  else if (length <= MEDIUM_MAX) {
    frame[1] = MEDIUM;
    frame.writeUInt16BE(length, 2);
  } else {
    frame[1] = LONG;
    frame.writeBigUInt64BE(BigInt(length), 2);
  }
  frame.write(text, head);
  return frame;
}
