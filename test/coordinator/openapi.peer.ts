// The OpenAPI document by others' eyes: a validator of OpenAPI 3.1, and a client that a generator makes
// of it, type-checked and run, which does all that a node says to its coordinator.

import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { copyFile, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { after, before, test } from 'node:test';
import { Validator } from '@seriousme/openapi-schema-validator';
import { generateSource } from 'oazapfts';
import { routes } from '../../shared/routes/table.ts';
import {
  csrOf,
  FACTS,
  type Fixture,
  heartbeatOf,
  newKey,
  raw,
  startFixture,
} from './coordinator-fixture.ts';

const TREE = join(import.meta.dirname, '../..');
const NODE_MODULES = join(TREE, 'node_modules');

let fixture: Fixture;
let dir: string;
/** As it is served. */
let document: { openapi: string; paths: Record<string, Record<string, { operationId: string }>> };

before(async () => {
  fixture = await startFixture();
  dir = await mkdtemp(join(tmpdir(), 'billet-openapi-'));
  document = (await raw(fixture, '/openapi.json')).json;
});
after(async () => {
  await fixture.close();
  await rm(dir, { recursive: true });
});

test('a validator of OpenAPI 3.1 finds no fault, and finds those that are put in', async () => {
  const validator = new Validator({ strict: false });
  const { valid, errors } = await validator.validate(structuredClone(document));
  assert.ok(valid, JSON.stringify(errors));
  assert.equal(validator.version, '3.1');
  const broken = structuredClone(document) as unknown as Record<string, Record<string, unknown>>;
  broken.paths = { 'no-slash': {}, ...broken.paths };
  assert.equal((await validator.validate(broken)).valid, false);
});

test('a generated client type-checks, has every route, and does the whole conversation of a node', async () => {
  const specification = join(dir, 'openapi.json');
  await writeFile(specification, JSON.stringify(document));
  await writeFile(join(dir, 'client.ts'), await generateSource(specification));
  const conversation = join(TREE, 'test/coordinator/testdata/openapi-conversation.ts.txt');
  await copyFile(conversation, join(dir, 'conversation.ts'));
  // Where both find the generator's runtime, and Node that the files are modules.
  await symlink(NODE_MODULES, join(dir, 'node_modules'));
  await writeFile(join(dir, 'package.json'), '{"type":"module"}');
  await writeFile(join(dir, 'tsconfig.json'), JSON.stringify(TSCONFIG));
  const types = spawnSync(join(NODE_MODULES, '.bin/tsc'), ['-p', dir], { encoding: 'utf8' });
  assert.equal(types.status, 0, types.stdout);

  const client = (await import(join(dir, 'client.ts'))) as Record<string, unknown>;
  for (const name of Object.keys(routes)) assert.equal(typeof client[name], 'function', name);

  assert.deepEqual(await converse(), {
    token: 'open',
    enrolled: true,
    desired: [1, null],
    unchanged: 304,
    changed: [200, true],
    stale: [409, 'CONFLICT'],
    heartbeat: [true, 0, 30],
    leased: [true, 1, 'collect-logs'],
    held: { leaseSeconds: 60, cancelled: false },
    reported: ['succeeded', 'succeeded'],
    renewed: 200,
    wrong: [401, 'CERTIFICATE_REQUIRED'],
    malformed: [
      'BODY_INVALID',
      {
        issues: [{ path: 'uptimeSeconds', message: 'Too small: expected number to be >=0' }],
      },
    ],
    ca: true,
    state: 1,
  });
});

const TSCONFIG = {
  compilerOptions: {
    noEmit: true,
    target: 'esnext',
    lib: ['esnext', 'dom', 'dom.iterable'],
    types: ['node'],
    module: 'nodenext',
    allowImportingTsExtensions: true,
    erasableSyntaxOnly: true,
    strict: true,
    exactOptionalPropertyTypes: false,
    noUncheckedIndexedAccess: true,
    skipLibCheck: true,
  },
  files: ['conversation.ts'],
};

/** Runs it in a process of its own; what it was told, by what it asked. */
async function converse(): Promise<unknown> {
  const key = newKey();
  const given = {
    url: fixture.coordinator.url,
    ca: fixture.ca,
    credential: fixture.credential,
    key: key.pem,
    // A subject may be left out: the coordinator knows whose certificate it is.
    csr: csrOf(key, null),
    facts: FACTS,
    heartbeat: heartbeatOf(),
  };
  const child = spawn(process.execPath, ['conversation.ts'], {
    cwd: dir,
    stdio: ['pipe', 'pipe', 'pipe'],
    timeout: 30_000,
  });
  child.stdin.end(JSON.stringify(given));
  const [out, errors] = await Promise.all([text(child.stdout), text(child.stderr)]);
  assert.ok(out.startsWith('{'), errors);
  return JSON.parse(out);
}
