// Asks time servers over UDP (SNTP, RFC 4330). Unauthenticated: whoever sits on the segment can answer.
// What is made of the answer, agent/boot/boot-clock.ts decides.

import { randomBytes } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { lookup } from 'node:dns/promises';
import { once } from 'node:events';
import type { Clock } from '#shared/clock.ts';
import { BilletError } from '#shared/errors.ts';
import { ntpRequest, readNtpReply } from '../boot/network/ntp.ts';

export interface NtpTime {
  readonly server: string;
  /** What it was as this was returned, in Unix milliseconds: half of the way there and back is added. */
  readonly unixMs: number;
}

export interface NtpOptions {
  readonly clock: Clock;
  /** Why a time is not believed; null where it is. The next server is asked then. */
  readonly refuses: (unixMs: number) => string | null;
  readonly port?: number;
}

const PORT = 123;
const TRIES = 2;
const TRY_MS = 1000;
const SERVERS_MAX = 4;
/** For all of it, name servers that do not answer among it. */
const TOTAL_MS = 8000;

/** The first server that gives a time, in order. Throws NTP_FAILED with what each did. */
export async function askNtp(
  servers: readonly string[],
  options: NtpOptions,
  signal: AbortSignal,
): Promise<NtpTime> {
  const ends = AbortSignal.any([signal, AbortSignal.timeout(TOTAL_MS)]);
  const said: string[] = [];
  for (const server of servers.slice(0, SERVERS_MAX))
    try {
      const unixMs = await askServer(server, options, ends);
      const why = options.refuses(unixMs);
      if (why === null) return { server, unixMs };
      said.push(`${server}: ${why}`);
    } catch (error) {
      signal.throwIfAborted();
      said.push(`${server}: ${ends.aborted ? 'no time left' : reasonOf(error)}`);
      if (ends.aborted) break;
    }
  throw new BilletError('NTP_FAILED', `no time from ${said.join('; ')}`, {
    hint: 'check billet.ntp= and DHCP option 42, and that UDP port 123 is let through',
  });
}

const reasonOf = (error: unknown): string =>
  error instanceof Error ? error.message : String(error);

async function askServer(
  server: string,
  { clock, port = PORT }: NtpOptions,
  signal: AbortSignal,
): Promise<number> {
  const { address, family } = await abortable(lookup(server), signal);
  const socket = createSocket(family === 6 ? 'udp6' : 'udp4');
  // Errors that come as no one waits: the next wait ends with its time.
  socket.on('error', () => undefined);
  try {
    // Connected: the kernel drops what comes from elsewhere.
    socket.connect(port, address);
    await once(socket, 'connect', { signal });
    for (let attempt = 0; attempt < TRIES; attempt += 1) {
      const nonce = randomBytes(8);
      const startMs = clock.monotonic();
      socket.send(ntpRequest(nonce));
      const sentMs = await answerTo(socket, nonce, signal);
      if (sentMs !== null) return Math.round(sentMs + (clock.monotonic() - startMs) / 2);
    }
  } finally {
    socket.close();
  }
  throw new Error('no answer');
}

/** Unix milliseconds of the answer; null when none came in time. Throws for one that is worth nothing. */
async function answerTo(
  socket: ReturnType<typeof createSocket>,
  nonce: Uint8Array,
  signal: AbortSignal,
): Promise<number | null> {
  const late = AbortSignal.timeout(TRY_MS);
  const either = AbortSignal.any([signal, late]);
  for (;;) {
    let packet: Buffer;
    try {
      [packet] = (await once(socket, 'message', { signal: either })) as [Buffer];
    } catch (error) {
      signal.throwIfAborted();
      if (late.aborted) return null;
      throw error;
    }
    const reply = readNtpReply(packet, nonce);
    switch (reply.kind) {
      case 'time':
        return reply.unixMs;
      case 'kiss':
        throw new Error(`it refuses to answer (kiss-o'-death ${reply.code})`);
      case 'useless':
        throw new Error(reply.why);
      case 'stray':
    }
  }
}

/** The lookup itself cannot be called off, and may end when it likes. */
async function abortable<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const aborted = new Promise<never>((_, reject) =>
    signal.addEventListener('abort', () => reject(signal.reason), { once: true }),
  );
  return await Promise.race([work, aborted]);
}
