// One simulated agent: the node's side of the protocol with a key, a certificate and a WebSocket of its
// own, and nothing behind it. Small, because there are thousands in one process.

import { generateKeyPairSync, randomUUID } from 'node:crypto';
import { request } from 'node:https';
import type { ConnectionOptions } from 'node:tls';
import { WebSocket } from 'ws';
import { problemError } from '#shared/client/problem.ts';
import type { Clock } from '#shared/clock.ts';
import { createCsr } from '#shared/csr.ts';
import { BilletError } from '#shared/errors.ts';
import { channel, enroll, getDesired } from '#shared/routes/node.ts';
import { Facts } from '#shared/schema/facts.ts';
import { type CoordinatorMessage, Heartbeat } from '#shared/schema/heartbeat.ts';
import type { InstanceId, NodeName } from '#shared/schema/ids.ts';
import { VERSION } from '#shared/version.ts';

export interface SimAgent {
  readonly node: NodeName;
  readonly instance: InstanceId;
  /** The generation of the desired state that it has; 0 before the first. */
  generation(): number;
  /** Over a TLS connection of its own. Throws what the coordinator answers. */
  enroll(): Promise<void>;
  /** Fetches the desired state, opens the channel, and says that it is ready. */
  connect(): Promise<void>;
  isConnected(): boolean;
  /** Resolves with the milliseconds to the reply; LINK_DOWN when the channel ends first. */
  beat(): Promise<number>;
  close(): void;
}

export interface SimOptions {
  /** `https://host:port`. */
  readonly url: string;
  /** PEM of the CAs to believe. */
  readonly ca: string;
  readonly clock: Clock;
  /** A generation that it did not have has arrived. */
  readonly onDesired: (agent: SimAgent) => void;
  /** Runs what fetches, so many at once. */
  readonly limited: <T>(work: () => Promise<T>) => Promise<T>;
  readonly signal: AbortSignal;
}

const TIMEOUT_MS = 60_000;
const CLOSE_NORMAL = 1000;
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

export function simAgent(
  options: SimOptions,
  own: { readonly node: NodeName; readonly instance: InstanceId; readonly token: string },
): SimAgent {
  const { url, ca, clock, signal } = options;
  const bootId = randomUUID();
  let identity: Pick<ConnectionOptions, 'key' | 'cert'> = {};
  let token: string | null = own.token;
  let etag: string | null = null;
  let generation = 0;
  let socket: WebSocket | null = null;
  let seq = 0;
  let asking: Promise<void> | null = null;
  const waiting = new Map<number, { since: number; done: PromiseWithResolvers<number> }>();

  /** One request over one connection, as an agent that was idle makes it. */
  const ask = (method: 'GET' | 'POST', path: string, body: object | null) =>
    new Promise<{ status: number; etag: string | null; text: string }>((resolve, reject) => {
      const asked = request(new URL(path, url), {
        method,
        agent: false,
        ca,
        ...identity,
        minVersion: 'TLSv1.3',
        timeout: TIMEOUT_MS,
        signal,
        headers: {
          'content-type': 'application/json',
          ...(etag === null || method === 'POST' ? {} : { 'if-none-match': etag }),
        },
      });
      asked.on('error', reject);
      asked.on('timeout', () => asked.destroy(down('no answer in time')));
      asked.on('response', (response) => {
        let text = '';
        response.setEncoding('utf8');
        response.on('data', (chunk) => {
          text += chunk;
        });
        response.on('error', reject);
        response.on('end', () => {
          const status = response.statusCode ?? 0;
          if (status >= 400) reject(problemError(status, text, `${method} ${path}`));
          else resolve({ status, etag: response.headers.etag ?? null, text });
        });
      });
      asked.end(body === null ? undefined : JSON.stringify(body));
    });

  async function fetchDesired(): Promise<void> {
    const answer = await ask('GET', getDesired.path, null);
    if (answer.status === 304) return;
    etag = answer.etag;
    const { envelope } = getDesired.reply.parse(JSON.parse(answer.text));
    const payload = JSON.parse(Buffer.from(envelope.payload, 'base64').toString('utf8'));
    const isNew = payload.generation !== generation;
    generation = payload.generation;
    if (isNew) options.onDesired(agent);
  }

  /** Once at a time: what comes meanwhile is asked for after it. */
  function nudged(): void {
    const next = async () => {
      await options.limited(fetchDesired);
      // As an agent that has taken it up: it says so at once.
      if (socket?.readyState === WebSocket.OPEN) await agent.beat();
    };
    asking = (asking ?? Promise.resolve()).then(next).catch(() => undefined);
  }

  function receive(text: string): void {
    const message = JSON.parse(text) as CoordinatorMessage;
    if (message.type === 'nudge') {
      if (message.what === 'desired') nudged();
      return;
    }
    const asked = waiting.get(message.seq);
    if (asked === undefined) return;
    waiting.delete(message.seq);
    if (message.type === 'reply') asked.done.resolve(clock.monotonic() - asked.since);
    else asked.done.reject(down(`${message.code}: ${message.message}`));
  }

  const heartbeat = () =>
    Heartbeat.parse({
      bootId,
      agentVersion: `${VERSION}-simulated`,
      uptimeSeconds: Math.round(clock.monotonic() / 1000),
      phase: 'ready',
      generation,
      modules: [],
    });

  const agent: SimAgent = {
    node: own.node,
    instance: own.instance,
    generation: () => generation,

    async enroll() {
      const { privateKey, publicKey } = generateKeyPairSync('ed25519');
      const csr = createCsr({ privateKey, publicKey }, own.instance);
      const body = { instance: own.instance, token, csr, facts: FACTS };
      const { text } = await ask('POST', enroll.path, body);
      const { certificate } = enroll.reply.parse(JSON.parse(text));
      const key = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
      identity = { key, cert: certificate };
      token = null;
    },

    async connect() {
      await fetchDesired();
      const address = new URL(channel.path, url);
      address.protocol = 'wss:';
      const opened = new WebSocket(address, {
        agent: false,
        ca,
        ...(identity as { key: string; cert: string }),
        minVersion: 'TLSv1.3',
        handshakeTimeout: TIMEOUT_MS,
        perMessageDeflate: false,
        skipUTF8Validation: true,
      });
      await new Promise<void>((resolve, reject) => {
        opened.once('open', resolve);
        opened.on('error', (error) => reject(down(error.message)));
      });
      socket = opened;
      opened.on('message', (data) => receive(String(data)));
      opened.on('close', (code) => {
        for (const { done } of waiting.values()) done.reject(down(`closed with ${code}`));
        waiting.clear();
      });
      await agent.beat();
    },

    isConnected: () => socket?.readyState === WebSocket.OPEN,

    async beat() {
      if (socket?.readyState !== WebSocket.OPEN) throw down('not open');
      const number = seq++;
      const done = Promise.withResolvers<number>();
      waiting.set(number, { since: clock.monotonic(), done });
      socket.send(JSON.stringify({ type: 'heartbeat', seq: number, heartbeat: heartbeat() }));
      return await done.promise;
    },

    close() {
      socket?.close(CLOSE_NORMAL);
      socket?.terminate();
    },
  };

  const down = (why: string) =>
    new BilletError('LINK_DOWN', `${own.node}: ${why}`, {
      hint: 'look at the log and the load of the coordinator',
    });

  return agent;
}
