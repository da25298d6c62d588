import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { detachAll } from './detach.ts';
import type { Units } from './drivers/units.ts';
import { STATUS_SOCKET } from './report/status-socket.ts';

const never = new AbortController().signal;

/** A run directory with modules that a crash left without a record, and what is done to them. */
async function machine(names: readonly string[], failing?: string) {
  const runDir = await mkdtemp(join(tmpdir(), 'billet-detach-'));
  const done: string[] = [];
  for (const name of names)
    await mkdir(join(runDir, 'services', name, 'abc/root'), { recursive: true });
  const units: Units = {
    install: async () => assert.fail('nothing is installed'),
    start: async () => assert.fail('nothing is started'),
    installed: async (prefix) => [`${prefix}a.service`],
    async stop([unit = '']) {
      if (failing !== undefined && unit.includes(failing)) throw new Error(`${unit} does not stop`);
      done.push(`stop ${unit}`);
    },
    remove: async () => undefined,
    states: async () => new Map(),
  };
  const mounts = {
    isMounted: async () => true,
    unmount: async (target: string) => void done.push(`unmount ${target.slice(runDir.length)}`),
  };
  return { deps: { units, mounts, runDir }, done, end: () => rm(runDir, { recursive: true }) };
}

test('every module is stopped before it is unmounted; a second time there is nothing to do', async () => {
  const { deps, done, end } = await machine(['db', 'web']);
  try {
    assert.deepEqual(await detachAll(deps, never), ['db', 'web']);
    assert.deepEqual(done, [
      'stop billet-db-a.service',
      'unmount /services/db/abc/root',
      'stop billet-web-a.service',
      'unmount /services/web/abc/root',
    ]);
    assert.deepEqual(await detachAll(deps, never), []);
  } finally {
    await end();
  }
});

test('what does not stop keeps its mount, and can be tried again', async () => {
  const { deps, done, end } = await machine(['db', 'web'], 'web');
  try {
    await assert.rejects(detachAll(deps, never), /web-a.service does not stop/);
    assert.ok(!done.some((what) => what.startsWith('unmount /services/web')));
    const { stop: _, ...rest } = deps.units;
    const units = { ...rest, stop: async () => undefined };
    assert.deepEqual(await detachAll({ ...deps, units }, never), ['web']);
  } finally {
    await end();
  }
});

test('while an agent runs nothing is detached: it would bring it back', async () => {
  const { deps, done, end } = await machine(['web']);
  const server = createServer((_, response) => response.end('{}'));
  server.listen(join(deps.runDir, STATUS_SOCKET));
  await once(server, 'listening');
  try {
    await assert.rejects(detachAll(deps, never), { code: 'CONFLICT' });
    assert.deepEqual(done, []);
  } finally {
    server.close();
    await end();
  }
});
