// A time server that says what a test wants, in the packets of RFC 5905 §7.3 (also RFC 4330 §4), on a port of
// its own on the loopback.

import { createSocket, type RemoteInfo } from 'node:dgram';
import { once } from 'node:events';

const UNIX_SECONDS = 2_208_988_800;

export interface NtpAnswer {
  /** Transmit timestamp. */
  readonly unixMs?: number;
  readonly leap?: number;
  readonly version?: number;
  readonly mode?: number;
  readonly stratum?: number;
  /** Four letters, or an address. */
  readonly reference?: string;
  readonly rootDelay?: number;
  /** Instead of the transmit timestamp of the question. */
  readonly origin?: Uint8Array;
}

/** The bytes of an answer to `question`. */
export function ntpAnswer(question: Uint8Array, answer: NtpAnswer): Buffer {
  const { leap = 0, version = 4, mode = 4, stratum = 2, reference = 'GPS' } = answer;
  const packet = Buffer.alloc(48);
  packet[0] = (leap << 6) | (version << 3) | mode;
  packet[1] = stratum;
  packet[2] = 6;
  packet[3] = 0xec;
  packet.writeUInt32BE(answer.rootDelay ?? 0x0000_0800, 4);
  packet.writeUInt32BE(0x0000_0400, 8);
  packet.write(reference.padEnd(4, '\0'), 12, 4, 'latin1');
  packet.set(answer.origin ?? question.subarray(40, 48), 24);
  if (answer.unixMs !== undefined) {
    const seconds = Math.floor(answer.unixMs / 1000) + UNIX_SECONDS;
    packet.writeUInt32BE(seconds % 0x1_0000_0000, 40);
    packet.writeUInt32BE(Math.floor(((answer.unixMs % 1000) / 1000) * 0x1_0000_0000), 44);
  }
  return packet;
}

export interface NtpServer {
  readonly port: number;
  readonly questions: readonly Buffer[];
  [Symbol.asyncDispose](): Promise<void>;
}

/** Sends all that `answers` returns for a question, in order. */
export async function ntpServer(
  answers: (question: Buffer) => readonly Uint8Array[],
): Promise<NtpServer> {
  const socket = createSocket('udp4');
  const questions: Buffer[] = [];
  socket.on('message', (question: Buffer, from: RemoteInfo) => {
    questions.push(question);
    for (const answer of answers(question)) socket.send(answer, from.port, from.address);
  });
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  return {
    port: socket.address().port,
    questions,
    async [Symbol.asyncDispose]() {
      socket.close();
      await once(socket, 'close');
    },
  };
}
