// A router in a few lines, at the other end of a machine's cables: it sees whole Ethernet frames, answers on
// one VLAN (IEEE 802.1Q) for one IPv4 and one IPv6 address who has them, and has the time. Knows no TCP.

import { createSocket, type RemoteInfo } from 'node:dgram';
import { once } from 'node:events';
import { type NtpAnswer, ntpAnswer } from './ntp-fixture.ts';

export interface Router {
  /** UDP ports of the loopback: one a cable. */
  readonly ports: readonly number[];
  /** What came, a line each: `arp`, `ndp`, `ntp` or `other`, with the VLAN (0: none) and the cable. */
  readonly seen: readonly string[];
  [Symbol.asyncDispose](): Promise<void>;
}

export interface RouterSpec {
  readonly cables: number;
  readonly vlan: number;
  /** 16 and 4 bytes. */
  readonly ipv4: Uint8Array;
  readonly ipv6: Uint8Array;
  readonly time: () => NtpAnswer;
}

const MAC = Buffer.from('02000000b111', 'hex');
const TYPE = { vlan: 0x8100, arp: 0x0806, ipv4: 0x0800, ipv6: 0x86dd } as const;

export async function startRouter(spec: RouterSpec): Promise<Router> {
  const seen: string[] = [];
  const sockets = Array.from({ length: spec.cables }, () => createSocket('udp4'));
  for (const [cable, socket] of sockets.entries()) {
    socket.on('message', (frame: Buffer, from: RemoteInfo) => {
      const { vlan, type, payload, source } = frameOf(frame);
      const [kind, reply] = answerTo(spec, type, payload);
      seen.push(`${kind} vlan=${vlan} cable=${cable}`);
      if (reply === null || vlan !== spec.vlan) return;
      socket.send(tagged(source, vlan, type, reply), from.port, from.address);
    });
    socket.bind(0, '127.0.0.1');
    await once(socket, 'listening');
  }
  return {
    ports: sockets.map((socket) => socket.address().port),
    seen,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.close();
    },
  };
}

function frameOf(frame: Buffer) {
  const source = frame.subarray(6, 12);
  const hasTag = frame.readUInt16BE(12) === TYPE.vlan;
  return {
    source,
    vlan: hasTag ? frame.readUInt16BE(14) & 0xfff : 0,
    type: frame.readUInt16BE(hasTag ? 16 : 12),
    payload: frame.subarray(hasTag ? 18 : 14),
  };
}

function tagged(to: Buffer, vlan: number, type: number, payload: Buffer): Buffer {
  const tag = Buffer.alloc(6);
  tag.writeUInt16BE(TYPE.vlan, 0);
  tag.writeUInt16BE(vlan, 2);
  tag.writeUInt16BE(type, 4);
  return Buffer.concat([to, MAC, tag, payload]);
}

function answerTo(spec: RouterSpec, type: number, payload: Buffer): [string, Buffer | null] {
  if (type === TYPE.arp) return ['arp', arpReply(spec, payload)];
  if (type === TYPE.ipv4 && payload[9] === 17 && payload.readUInt16BE(22) === 123)
    return ['ntp', ntpReply(payload, spec.time())];
  // Neighbour solicitation: ICMPv6 type 135 (RFC 4861 §4.3).
  if (type === TYPE.ipv6 && payload[6] === 58 && payload[40] === 135)
    return ['ndp', advertisement(spec, payload)];
  return ['other', null];
}

/** RFC 826; null for a question about somebody else. */
function arpReply({ ipv4 }: RouterSpec, question: Buffer): Buffer | null {
  if (question.readUInt16BE(6) !== 1 || !question.subarray(24, 28).equals(ipv4)) return null;
  const reply = Buffer.from(question.subarray(0, 28));
  reply.writeUInt16BE(2, 6);
  reply.set(MAC, 8);
  reply.set(ipv4, 14);
  reply.set(question.subarray(8, 18), 18);
  return reply;
}

function ntpReply(question: Buffer, answer: NtpAnswer): Buffer {
  const udp = Buffer.alloc(8);
  udp.writeUInt16BE(123, 0);
  udp.writeUInt16BE(question.readUInt16BE(20), 2);
  udp.writeUInt16BE(8 + 48, 4);
  const header = Buffer.from(question.subarray(0, 20));
  header.writeUInt16BE(20 + 8 + 48, 2);
  header.writeUInt16BE(0, 10);
  header.set(question.subarray(16, 20), 12);
  header.set(question.subarray(12, 16), 16);
  header.writeUInt16BE(checksum(header), 10);
  return Buffer.concat([header, udp, ntpAnswer(question.subarray(28), answer)]);
}

/** RFC 4861 §4.4: solicited, with the link-layer address; null for a question about somebody else. */
function advertisement({ ipv6 }: RouterSpec, question: Buffer): Buffer | null {
  const from = question.subarray(8, 24);
  // Who asks without an address looks for duplicates (RFC 4862 §5.4.2).
  if (!question.subarray(48, 64).equals(ipv6) || from.every((byte) => byte === 0)) return null;
  const body = Buffer.alloc(32);
  body[0] = 136;
  body[4] = 0x60;
  body.set(ipv6, 8);
  body.set([2, 1, ...MAC], 24);
  const header = Buffer.alloc(40);
  header[0] = 0x60;
  header.writeUInt16BE(body.length, 4);
  header.set([58, 255], 6);
  header.set(ipv6, 8);
  header.set(from, 24);
  const pseudo = Buffer.alloc(8);
  pseudo.writeUInt32BE(body.length, 0);
  pseudo[7] = 58;
  body.writeUInt16BE(checksum(Buffer.concat([header.subarray(8), pseudo, body])), 2);
  return Buffer.concat([header, body]);
}

/** RFC 1071, of an even number of bytes. */
function checksum(bytes: Buffer): number {
  let sum = 0;
  for (let at = 0; at < bytes.length; at += 2) sum += bytes.readUInt16BE(at);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  return ~sum & 0xffff;
}
