// The packets of an SNTP client (RFC 4330; the format is that of RFC 5905 §7.3) and what makes an answer
// worth nothing. Asks nobody, sets no clock. Pure.

const PACKET_BYTES = 48;
const VERSION = 4;
const MODE = { client: 3, server: 4 } as const;
/** From 1900, where NTP's first era begins, to 1970. */
const UNIX_SECONDS = 2_208_988_800;
/** Root delay and root dispersion, 16.16 seconds: a server that is further off is in step with nobody. */
const ROOT_MAX = 16 * 0x1_0000;

/**
 * A question. Its transmit timestamp is 8 bytes of chance, which only who sees the question can repeat: it
 * says nothing of this clock, which is wrong anyway (RFC 4330 §3; draft-ietf-ntp-data-minimization).
 */
export function ntpRequest(nonce: Uint8Array): Uint8Array {
  const packet = new Uint8Array(PACKET_BYTES);
  packet[0] = (VERSION << 3) | MODE.client;
  packet.set(nonce.subarray(0, 8), 40);
  return packet;
}

export type NtpReply =
  /** Unix milliseconds, when the server sent it. */
  | { readonly kind: 'time'; readonly unixMs: number }
  /** Kiss-o'-death (RFC 5905 §7.4): the server wants no more questions. */
  | { readonly kind: 'kiss'; readonly code: string }
  /** Somebody else's, or no answer to this question: the real one may still come. */
  | { readonly kind: 'stray' }
  | { readonly kind: 'useless'; readonly why: string };

/** The checks of RFC 4330 §5, on an answer to the question with `nonce`. */
export function readNtpReply(packet: Uint8Array, nonce: Uint8Array): NtpReply {
  if (packet.length < PACKET_BYTES) return { kind: 'stray' };
  const view = new DataView(packet.buffer, packet.byteOffset, packet.byteLength);
  const first = view.getUint8(0);
  const [leap, version, mode] = [first >> 6, (first >> 3) & 7, first & 7];
  const isOurs = nonce.subarray(0, 8).every((byte, at) => byte === packet[24 + at]);
  if (!isOurs || mode !== MODE.server) return { kind: 'stray' };
  const stratum = view.getUint8(1);
  if (stratum === 0) {
    const code = String.fromCharCode(...packet.subarray(12, 16)).replace(/[^A-Z0-9]/g, '');
    return { kind: 'kiss', code };
  }
  if (version < 3 || version > VERSION) return { kind: 'useless', why: `version ${version}` };
  if (leap === 3) return { kind: 'useless', why: 'it is not synchronized (leap indicator 3)' };
  if (stratum > 15) return { kind: 'useless', why: `stratum ${stratum}` };
  if (view.getUint32(4) >= ROOT_MAX || view.getUint32(8) >= ROOT_MAX)
    return { kind: 'useless', why: 'it is too far from its reference clock' };
  const seconds = view.getUint32(40);
  const fraction = view.getUint32(44);
  if (seconds === 0 && fraction === 0) return { kind: 'useless', why: 'no transmit timestamp' };
  return { kind: 'time', unixMs: unixMs(seconds, fraction) };
}

/** RFC 4330 §3: with the first bit set 1968 to 2036, else the era after it, to 2104. */
function unixMs(seconds: number, fraction: number): number {
  const era = seconds >= 0x8000_0000 ? 0 : 0x1_0000_0000;
  return (era + seconds - UNIX_SECONDS) * 1000 + Math.floor((fraction * 1000) / 0x1_0000_0000);
}
