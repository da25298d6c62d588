// The coordinator's disk fills up: a real coordinator over a small tmpfs. What it refuses, what goes
// on, how it starts on a full disk, and that it recovers by itself when space is freed.

import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdtemp, open, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, test } from 'node:test';
import { Agent, request } from 'undici';
import { freePort } from '../coordinator/coordinator-kill-host.ts';
import { inspect } from '../coordinator/coordinator-kill-inspect.ts';

const MAIN = join(import.meta.dirname, '../../coordinator/main.ts');
/** Its own mounts: they end with it, however the test ends. */
const NAMESPACE = ['--mount', ...(process.getuid?.() === 0 ? [] : ['--user', '--map-root-user'])];
const HOLD = 'mount -t tmpfs -o size=8m,mode=0700 billet "$0" && echo mounted && exec sleep 600';

let scratch: string;
let stateDir: string;
/** The same directory as the coordinator sees it. */
let inside: string;
let holder: ChildProcess;
let port: number;
let running: ChildProcess | null = null;

before(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'billet-full-'));
  holder = spawn('unshare', [...NAMESPACE, 'sh', '-c', HOLD, scratch], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await once(holder.stdout as NodeJS.ReadableStream, 'data');
  inside = join(scratch, 'state');
  stateDir = join(`/proc/${holder.pid}/root`, inside);
  port = await freePort();
});
after(async () => {
  running?.kill('SIGKILL');
  holder.kill('SIGKILL');
  await once(holder, 'exit');
  await rm(scratch, { recursive: true });
});

async function start(): Promise<ChildProcess> {
  const own = process.getuid?.() === 0 ? [] : ['--user', '--preserve-credentials'];
  const flags = ['--state-dir', inside, '--listen', `127.0.0.1:${port}`, '--boot-listen', 'none'];
  const argv = [
    '--target',
    String(holder.pid),
    '--mount',
    ...own,
    process.execPath,
    MAIN,
    ...flags,
  ];
  const child = spawn('nsenter', argv, { stdio: ['ignore', 'ignore', 'pipe'] });
  running = child;
  for await (const line of createInterface({ input: child.stderr }))
    if (/serving url=/.test(line)) {
      child.stderr.resume();
      return child;
    }
  return assert.fail('it did not start');
}

async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  child.kill(signal);
  await once(child, 'exit');
}

interface Reply {
  readonly status: number;
  readonly code?: string;
  readonly hint?: string;
  readonly items?: readonly { readonly name: string }[];
}

async function ask(path: string, body?: object): Promise<Reply> {
  const context = JSON.parse(await readFile(join(stateDir, 'admin.json'), 'utf8'));
  const dispatcher = new Agent({ connect: { ca: context.ca } });
  try {
    const response = await request(`https://127.0.0.1:${port}${path}`, {
      dispatcher,
      method: body ? 'POST' : 'GET',
      headers: { authorization: `Bearer ${context.credential}` },
      body: body ? JSON.stringify(body) : null,
    });
    return { ...((await response.body.json()) as object), status: response.statusCode };
  } finally {
    await dispatcher.destroy();
  }
}

const nodeOf = (n: number) => {
  const keys = Array.from({ length: 200 }, (_, at) => [`label-${at}`, 'x'.repeat(240)]);
  return { name: `n-${n}`, spec: { labels: Object.fromEntries(keys) } };
};

/** Takes what is left of the disk, to the last page. */
async function fill(): Promise<string> {
  const path = join(stateDir, 'filler');
  const file = await open(path, 'a');
  for (let bytes = 65_536; bytes >= 4_096; )
    await file.write(Buffer.alloc(bytes)).catch((error) => {
      assert.equal(error.code, 'ENOSPC');
      bytes /= 2;
    });
  await file.close();
  return path;
}

const names = async () => (await ask('/v1/nodes?limit=1000')).items?.map(({ name }) => name).sort();

test('a full disk refuses changes and nothing else, and is over when there is space', {
  timeout: 60_000,
}, async () => {
  let coordinator = await start();
  const acknowledged: string[] = [];
  const create = async (n: number) => {
    const reply = await ask('/v1/nodes', nodeOf(n));
    if (reply.status === 201) acknowledged.push(`n-${n}`);
    return reply;
  };
  assert.equal((await create(0)).status, 201);
  assert.equal((await ask('/readyz')).status, 200);

  const filler = await fill();
  let refused: Reply = { status: 0 };
  let n = 1;
  for (; refused.code === undefined && n < 200; n += 1) refused = await create(n);
  assert.deepEqual([refused.status, refused.code], [507, 'STORE_FULL']);
  assert.match(refused.hint ?? '', /free space/);
  assert.deepEqual(
    await names(),
    acknowledged.toSorted(),
    'reads go on; no half of the refused one',
  );
  const ready = await ask('/readyz');
  assert.deepEqual([ready.status, ready.code], [507, 'STORE_FULL']);
  assert.equal((await ask('/healthz')).status, 200);

  await end(coordinator, 'SIGKILL');
  await fill();
  coordinator = await start();
  assert.deepEqual(await names(), acknowledged.toSorted(), 'it starts on a full disk, and is read');
  while ((await create(n)).status === 201) n += 1;
  assert.equal((await ask('/readyz')).code, 'STORE_FULL');

  await rm(filler);
  assert.equal((await ask('/readyz')).status, 200, 'it sees by itself that there is space');
  for (const at of [n, n + 1]) assert.equal((await create(at)).status, 201);
  assert.deepEqual(await names(), acknowledged.toSorted());
  await end(coordinator, 'SIGTERM');
  // Outside of the namespace, where its files may be copied from.
  const copy = `${scratch}-copy`;
  await cp(stateDir, copy, { recursive: true });
  const { lines } = await inspect(copy);
  assert.equal(lines.filter((line) => line.startsWith('node ')).length, acknowledged.length);
  assert.equal(lines.filter((line) => /"node.created"/.test(line)).length, acknowledged.length);
  await rm(copy, { recursive: true });
});
