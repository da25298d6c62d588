// One simulated agent: the node's side of the protocol with a key, a certificate and connections of its
// own, and nothing behind it. Small, because there are thousands in one process.

import { generateKeyPairSync, type KeyObject, randomUUID } from 'node:crypto';
import type { Clock } from '#shared/clock.ts';
import { createCsr } from '#shared/csr.ts';
import { enroll, getDesired } from '#shared/routes/node.ts';
import { Facts } from '#shared/schema/facts.ts';
import { Heartbeat } from '#shared/schema/heartbeat.ts';
import { VERSION } from '#shared/version.ts';
import type { Member } from './fleet.ts';
import { openSimChannel, type SimChannel } from './sim-channel.ts';
import { type Identity, type Requester, requester } from './sim-request.ts';

export interface SimAgent {
  /** The generation of the desired state that it has; 0 before the first. */
  generation(): number;
  /** Over a TLS connection of its own; safe to call again. Throws what the coordinator answers. */
  enroll(): Promise<void>;
  /** Fetches the desired state, opens the channel, and says that it is ready; safe to call again. */
  connect(): Promise<void>;
  isConnected(): boolean;
  /** Resolves with the milliseconds to the reply; LINK_DOWN when none comes. */
  beat(): Promise<number>;
  close(): Promise<void>;
}

export interface SimOptions {
  /** `https://host:port`. */
  readonly url: string;
  /** PEM of the CAs to believe. */
  readonly ca: string;
  readonly clock: Clock;
  /** Whether a request for the desired state always waits at the coordinator, over a connection of its own. */
  readonly poll: boolean;
  /** A generation that it did not have has arrived. */
  readonly onDesired: (agent: SimAgent) => void;
  /** Runs what fetches, so many at once. */
  readonly limited: <T>(work: () => Promise<T>) => Promise<T>;
  readonly signal: AbortSignal;
}

const POLL_SECONDS = 60;
const POLL_TIMEOUT_MS = (POLL_SECONDS + 30) * 1000;
const FACTS = Facts.parse({
  architecture: 'x86_64',
  kernelRelease: '0.0.0-simulated',
  firmware: 'uefi',
  secureBoot: false,
  cpuCount: 1,
  memoryBytes: 2 ** 30,
  macs: [],
  disks: [],
});

export function simAgent(options: SimOptions, { instance, token }: Member): SimAgent {
  const { url, ca, clock, limited } = options;
  const ending = new AbortController();
  const signal = AbortSignal.any([options.signal, ending.signal]);
  const bootId = randomUUID();
  let key: { readonly privateKey: KeyObject; readonly publicKey: KeyObject } | null = null;
  let own: { readonly identity: Identity; readonly http: Requester } | null = null;
  let etag: string | null = null;
  let generation = 0;
  let channel: SimChannel | null = null;
  let asking: Promise<void> | null = null;

  async function fetchDesired(waitSeconds: number): Promise<void> {
    const path = `${getDesired.path}?wait=${waitSeconds}`;
    const input = { ifNoneMatch: etag, timeoutMs: POLL_TIMEOUT_MS };
    const answer = await own?.http.ask('GET', path, input);
    if (answer === undefined || answer.status === 304) return;
    etag = answer.etag;
    const { envelope } = getDesired.reply.parse(JSON.parse(answer.text));
    const payload = JSON.parse(Buffer.from(envelope.payload, 'base64').toString('utf8'));
    const isNew = payload.generation !== generation;
    generation = payload.generation;
    if (isNew) options.onDesired(agent);
  }

  /** Once at a time: a nudge that comes meanwhile is asked for after it. */
  function fetchSoon(): void {
    const next = async () => {
      await limited(() => fetchDesired(0));
      own?.http.rest();
      // As an agent that has taken it up: it says so at once.
      await agent.beat();
    };
    // What fails is asked for again at the reply to the next heartbeat, whose ETag differs.
    asking = (asking ?? Promise.resolve()).then(next).catch(() => undefined);
  }

  async function poll(): Promise<void> {
    while (!signal.aborted && channel?.isOpen()) {
      const before = etag;
      await fetchDesired(POLL_SECONDS).catch(() => clock.sleep(1_000, signal));
      if (etag !== before) await agent.beat();
    }
  }

  const agent: SimAgent = {
    generation: () => generation,
    async enroll() {
      if (own !== null) return;
      key ??= generateKeyPairSync('ed25519');
      const body = { instance, token, csr: createCsr(key, instance), facts: FACTS };
      const http = requester({ url, ca, identity: null, signal });
      const { text } = await http.ask('POST', enroll.path, { body }).finally(http.rest);
      const { certificate: cert } = enroll.reply.parse(JSON.parse(text));
      const pem = key.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
      const identity = { key: pem, cert };
      own = { identity, http: requester({ url, ca, identity, signal }) };
    },
    async connect() {
      if (own === null) throw new Error('enroll comes first');
      await limited(() => fetchDesired(0));
      const { pool } = own.http;
      const { identity } = own;
      const onNudge = (what: string) => {
        if (what === 'desired' && !options.poll) fetchSoon();
      };
      channel ??= await openSimChannel({ url, ca, identity, pool, clock, signal, onNudge });
      await agent.beat();
      if (options.poll) poll().catch(() => undefined);
    },
    isConnected: () => channel?.isOpen() ?? false,
    async beat() {
      const heartbeat = Heartbeat.parse({
        bootId,
        agentVersion: `${VERSION}-simulated`,
        uptimeSeconds: Math.round(clock.monotonic() / 1000),
        phase: 'ready',
        generation,
        modules: [],
      });
      if (channel === null) throw new Error('connect comes first');
      const reply = await channel.beat(heartbeat);
      if (reply.etag !== etag && !options.poll) fetchSoon();
      return reply.ms;
    },
    async close() {
      ending.abort();
      await channel?.close();
      own?.http.rest();
    },
  };
  return agent;
}
