// Uploads that break: what arrived stays, the client goes on where the registry is, also at another
// coordinator over the same state, killed or stopped. By hand, over TLS (distribution-spec v1.1,
// "Pushing a blob in chunks").

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect, type TLSSocket } from 'node:tls';
import { sha256 } from '../../shared/digest.ts';
import { basic, type RegistryFixture, startRegistryFixture, verdict } from './registry-fixture.ts';

let registry: RegistryFixture;
const BLOB = randomBytes(1_000_000);
const HALF = 400_000;
const ask: RegistryFixture['ask'] = (...args) => registry.ask(...args);
const receivedBytes = (headers: Headers) => Number(headers.get('range')?.split('-')[1]) + 1;

before(async () => {
  registry = await startRegistryFixture();
});
after(() => registry.close());

async function begin(name: string): Promise<string> {
  const begun = await ask('POST', `/v2/${name}/blobs/uploads/`);
  assert.equal(begun.status, 202);
  return begun.headers.get('location') ?? '';
}

/** Sends the head of a PATCH that promises `lengthBytes`, and a part of its body; leaves it open. */
async function halfPatch(location: string, part: Buffer, lengthBytes: number): Promise<TLSSocket> {
  const { hostname, port } = new URL(registry.fixture.coordinator.url);
  const socket = connect({ host: hostname, port: Number(port), ca: registry.fixture.ca });
  socket.on('error', () => null);
  await once(socket, 'secureConnect');
  socket.write(
    `PATCH ${location} HTTP/1.1\r\nhost: registry\r\ncontent-length: ${lengthBytes}\r\n` +
      `authorization: ${basic('x', registry.fixture.credential)}\r\n\r\n`,
  );
  await new Promise((resolve) => socket.write(part, resolve));
  return socket;
}

/** Until the registry says that so much has arrived. */
async function arrived(location: string, sizeBytes: number): Promise<void> {
  for (let tries = 0; tries < 200; tries += 1) {
    const { headers } = await ask('GET', location);
    if (receivedBytes(headers) === sizeBytes) return;
    await sleep(10);
  }
  assert.fail(`${sizeBytes} bytes never arrived`);
}

/** Goes on where the registry is: what a client does that knows nothing else any more. */
async function finish(location: string) {
  const status = await ask('GET', location);
  if (status.status !== 204) return status;
  const from = receivedBytes(status.headers);
  assert.equal(from, HALF);
  const more = await ask('PATCH', location, {
    body: BLOB.subarray(from),
    headers: { 'content-range': `${from}-${BLOB.length - 1}` },
  });
  if (more.status !== 202) return more;
  return await ask('PUT', `${more.headers.get('location')}?digest=${sha256(BLOB)}`);
}

const stored = async (name: string) =>
  (await ask('GET', `/v2/${name}/blobs/${sha256(BLOB)}`)).bytes.equals(BLOB);

test('a connection that drops in a part leaves what arrived; the next one goes on there', async () => {
  const location = await begin('dropped');
  const socket = await halfPatch(location, BLOB.subarray(0, HALF), BLOB.length);
  await arrived(location, HALF);
  socket.destroy();
  assert.equal((await finish(location)).status, 201);
  assert.ok(await stored('dropped'));
});

test('a connection that hangs is taken over by the client that comes again', async () => {
  const location = await begin('hung');
  const hung = await halfPatch(location, BLOB.subarray(0, HALF), BLOB.length);
  await arrived(location, HALF);
  const closed = once(hung, 'close');
  assert.equal((await finish(location)).status, 201);
  await closed;
  assert.ok(await stored('hung'));
});

test('an upload that is cancelled while another connection writes to it is gone', async () => {
  const location = await begin('cancelled');
  await halfPatch(location, BLOB.subarray(0, HALF), BLOB.length);
  await arrived(location, HALF);
  assert.equal((await ask('DELETE', location)).status, 204);
  assert.deepEqual(verdict(await ask('GET', location)), [404, 'BLOB_UPLOAD_UNKNOWN']);
  assert.deepEqual(await readdir(join(uploadsDir(), 'cancelled')), []);
});

test('content of another digest is refused, and nothing of it stays', async () => {
  const location = await begin('wrong');
  await ask('PATCH', location, { body: BLOB });
  const wrong = await ask('PUT', `${location}?digest=${sha256('another')}`);
  assert.deepEqual(verdict(wrong), [400, 'DIGEST_INVALID']);
  for (const path of [location, `/v2/wrong/blobs/${sha256(BLOB)}`, '/v2/wrong/tags/list'])
    assert.equal((await ask('GET', path)).status, 404, path);
  for (const digest of ['', 'sha256:short', `sha512:${'0'.repeat(128)}`]) {
    const query = `?digest=${encodeURIComponent(digest)}`;
    const single = await ask('POST', `/v2/wrong/blobs/uploads/${query}`, { body: 'x' });
    assert.deepEqual(verdict(single), [400, 'DIGEST_INVALID']);
    const kept = await begin('wrong');
    assert.deepEqual(verdict(await ask('PUT', `${kept}${query}`, { body: 'x' })), [
      400,
      'DIGEST_INVALID',
    ]);
    assert.equal((await ask('DELETE', kept)).status, 204, 'it may be finished with the right one');
  }
  assert.deepEqual(await readdir(join(uploadsDir(), 'wrong')), []);
});

const uploadsDir = () => join(registry.fixture.stateDir, 'registry/uploads');

/** An upload broken by `stop`, gone on with at the coordinator that `start` starts. */
async function broken(name: string, between: () => Promise<void>) {
  const location = await begin(name);
  const socket = await halfPatch(location, BLOB.subarray(0, HALF), BLOB.length);
  await arrived(location, HALF);
  await registry.restart(between);
  socket.destroy();
  return await finish(location);
}

test('the coordinator is started again in a part: the upload goes on where it was', async () => {
  assert.equal((await broken('restarted', async () => {})).status, 201);
  assert.ok(await stored('restarted'));
});

test('mutation: had the upload not been on disk, it could not go on, and the client learns it', async () => {
  const lost = await broken('lost', () => rm(uploadsDir(), { recursive: true }));
  assert.deepEqual(verdict(lost), [404, 'BLOB_UPLOAD_UNKNOWN']);
});

test('the coordinator is killed -9 in a part: the upload goes on where it was', async (t) => {
  const location = await begin('killed');
  await registry.fixture.coordinator.stop();
  const child = spawn(
    process.execPath,
    [
      'coordinator/main.ts',
      ...['--state-dir', registry.fixture.stateDir],
      ...['--listen', '127.0.0.1:0', '--boot-listen', 'none'],
    ],
    { cwd: join(import.meta.dirname, '../..'), stdio: ['ignore', 'ignore', 'pipe'] },
  );
  t.after(() => child.kill('SIGKILL'));
  const exited = once(child, 'exit');
  const url = await new Promise<string>((resolve, reject) => {
    let text = '';
    child.stderr.on('data', (chunk) => {
      text += chunk;
      const [found] = /https:\/\/127\.0\.0\.1:\d+/.exec(text) ?? [];
      if (found !== undefined) resolve(found);
    });
    child.once('exit', () => reject(new Error(text)));
  });
  registry.fixture.coordinator = { ...registry.fixture.coordinator, url };
  const socket = await halfPatch(location, BLOB.subarray(0, HALF), BLOB.length);
  await arrived(location, HALF);
  child.kill('SIGKILL');
  await exited;
  socket.destroy();
  await registry.restart();
  assert.equal((await finish(location)).status, 201);
  assert.ok(await stored('killed'));
});
