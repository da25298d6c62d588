import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { createServer } from 'node:tls';
import { temporaryDirectory } from '#shared/artifact/signature/testing.ts';
import { systemClock } from '#shared/clock.ts';
import { moduleSource } from './module-source.ts';
import type { Session } from './session.ts';

test('another registry is asked without the node: its session and certificate are not touched', async (t) => {
  // It ends every connection, and counts who came.
  const server = createServer((socket) => socket.destroy());
  let came = 0;
  server.on('connection', () => {
    came += 1;
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  const { port } = server.address() as { port: number };
  let asked = 0;
  const session = (): Session => {
    asked += 1;
    throw new Error('the session has the certificate');
  };
  const clock = { ...systemClock, sleep: async () => undefined };
  const stateDir = await temporaryDirectory(t);
  const source = moduleSource({ session, stateDir, clock, random: () => 0 });
  const foreign = source({ repository: `127.0.0.1:${port}/team/app` });
  await assert.rejects(foreign.tags(), { code: 'REGISTRY_FAILED' });
  assert.ok(came > 0);
  assert.equal(asked, 0);
  // The coordinator's own is another matter.
  assert.throws(() => source({ repository: 'team/app' }), /has the certificate/);
});
