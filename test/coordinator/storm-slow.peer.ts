// A thousand slow connections against a real coordinator process: on the TLS handshake, on headers,
// on bodies, on plain HTTP. Others are served meanwhile, memory stays bounded, and each is cut.

import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { connect as connectTls } from 'node:tls';
import { Agent, request } from 'undici';
import { systemClock } from '../../shared/clock.ts';
import { freePort } from './coordinator-kill-host.ts';

const MAIN = join(import.meta.dirname, '../../coordinator/main.ts');
const EACH = 250;
/** Of server.ts: 10 s for a handshake and for headers, looked at every 2 s; 30 s for a JSON body. */
const CUT_BY_MS = { handshake: 15_000, headers: 15_000, plain: 15_000, body: 40_000 };
type Kind = keyof typeof CUT_BY_MS;

let stateDir: string;
let child: ChildProcess;
let context: { url: string; ca: string; credential: string };
let port: number;
let bootPort: number;

before(async () => {
  stateDir = await mkdtemp(join(tmpdir(), 'billet-slow-'));
  [port, bootPort] = [await freePort(), await freePort()];
  const listen = ['--listen', `127.0.0.1:${port}`, '--boot-listen', `127.0.0.1:${bootPort}`];
  child = spawn(process.execPath, [MAIN, '--state-dir', stateDir, ...listen], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const lines = createInterface({ input: child.stderr as NodeJS.ReadableStream });
  await new Promise<void>((resolve) =>
    lines.on('line', (line) => void (/serving url=/.test(line) && resolve())),
  );
  context = JSON.parse(await readFile(join(stateDir, 'admin.json'), 'utf8'));
});
after(async () => {
  child.kill('SIGKILL');
  await once(child, 'exit');
  await rm(stateDir, { recursive: true });
});

/** Resident memory of the coordinator, in MiB: proc(5), VmRSS. */
async function residentMiB(): Promise<number> {
  const status = await readFile(`/proc/${child.pid}/status`, 'utf8');
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1]) / 1024;
}

interface Slow {
  readonly kind: Kind;
  readonly socket: Socket;
  /** Milliseconds from its first byte to its end; null while it lives. */
  readonly endedAfter: () => number | null;
}

/** Opens a connection, sends the start of something, and then a byte a second. */
async function openSlow(kind: Kind): Promise<Slow> {
  const host = '127.0.0.1';
  const raw = connect({ host, port: kind === 'plain' ? bootPort : port });
  await once(raw, 'connect');
  const since = systemClock.monotonic();
  let ended: number | null = null;
  raw.once('close', () => {
    ended = systemClock.monotonic() - since;
  });
  const isTls = kind === 'headers' || kind === 'body';
  const socket = isTls ? connectTls({ socket: raw, ca: context.ca, servername: 'localhost' }) : raw;
  socket.on('error', () => socket.destroy());
  if (isTls) await once(socket, 'secureConnect');
  const start = {
    // RFC 8446 §5.1: the head of a record of 512 bytes.
    handshake: Buffer.from([0x16, 0x03, 0x01, 0x02, 0x00]),
    headers: 'GET /v1/nodes HTTP/1.1\r\nhost: x\r\n',
    plain: 'GET /boot/boot.ipxe HTTP/1.1\r\nhost: x\r\n',
    body: 'POST /v1/enroll HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 5000\r\n\r\n{',
  }[kind];
  socket.write(start);
  const drip = setInterval(() => {
    if (ended === null && socket.writable) socket.write(kind === 'handshake' ? '\u0001' : 'x');
  }, 1_000);
  raw.once('close', () => clearInterval(drip));
  return { kind, socket, endedAfter: () => ended };
}

/** A client beside them: reads, and one new connection in ten. */
async function healthy(until: () => boolean): Promise<readonly number[]> {
  const times: number[] = [];
  let agent = new Agent({ connect: { ca: context.ca } });
  const headers = { authorization: `Bearer ${context.credential}` };
  while (!until()) {
    if (times.length % 10 === 9) {
      await agent.destroy();
      agent = new Agent({ connect: { ca: context.ca } });
    }
    const since = systemClock.monotonic();
    const { statusCode, body } = await request(`${context.url}/v1/nodes`, {
      dispatcher: agent,
      headers,
    });
    await body.dump();
    assert.equal(statusCode, 200);
    times.push(systemClock.monotonic() - since);
    await setTimeout(25);
  }
  await agent.destroy();
  return times.toSorted((a, b) => a - b);
}

test('1,000 slow connections are cut at their limits, and nobody else notices', {
  timeout: 120_000,
}, async (t) => {
  const before = await residentMiB();
  const kinds = Object.keys(CUT_BY_MS) as Kind[];
  const slow: Slow[] = [];
  for (let n = 0; n < EACH; n += 25)
    for (const kind of kinds)
      slow.push(...(await Promise.all(Array.from({ length: 25 }, () => openSlow(kind)))));
  assert.equal(slow.length, 1_000);
  assert.ok(slow.filter((one) => one.endedAfter() === null).length > 900, 'all at the same time');
  const during = await residentMiB();
  const started = systemClock.monotonic();
  const times = await healthy(
    () =>
      slow.every((one) => one.endedAfter() !== null) || systemClock.monotonic() - started > 60_000,
  );
  for (const kind of kinds) {
    const ends = slow.filter((one) => one.kind === kind).map((one) => one.endedAfter());
    const last = Math.max(...ends.map((one) => one ?? Number.POSITIVE_INFINITY));
    t.diagnostic(`${kind}: ${ends.length} cut, the last after ${(last / 1000).toFixed(1)} s`);
    assert.ok(last <= CUT_BY_MS[kind], `${kind}: ${last} ms`);
  }
  const p99 = times[Math.floor(times.length * 0.99)] ?? Number.POSITIVE_INFINITY;
  const after = await residentMiB();
  t.diagnostic(`${times.length} requests beside them, p99 ${p99.toFixed(0)} ms`);
  t.diagnostic(`resident ${[before, during, after].map((one) => one.toFixed(0)).join(', ')} MiB`);
  assert.ok(times.length > 200 && p99 < 400, `p99 ${p99} ms`);
  // 1,000 connections at 100 KiB each, and what the collector leaves.
  assert.ok(during - before < 200 && after - before < 200, `${before}, ${during}, ${after} MiB`);
});
