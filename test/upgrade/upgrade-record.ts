// Makes the fixtures of an upgrade from the version whose tree this runs in: its store after all kinds
// of use, as SQL, and its agent's conversation with its coordinator. Run by hand before a release:
//
//   node test/upgrade/upgrade-record.ts test/upgrade/testdata
//
// writes store-<version>.sql.gz and agent-<version>.json.gz.

import { subscribe } from 'node:diagnostics_channel';
import { writeFileSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import { WebSocket } from 'ws';
import { testModule } from '../../agent/reconcile/testing.ts';
import { routes } from '../../shared/routes/table.ts';
import { BootstrapToken } from '../../shared/schema/identity.ts';
import { CredentialName, type InstanceId, NodeName } from '../../shared/schema/ids.ts';
import { NodeSpec } from '../../shared/schema/records.ts';
import { TaskSpec } from '../../shared/schema/task.ts';
import { VERSION } from '../../shared/version.ts';
import { eventually, removeDir, startAgent } from '../agent/agent-fixture.ts';
import {
  bodyOf,
  csrOf,
  FACTS,
  type Fixture,
  newKey,
  startFixture,
} from '../coordinator/coordinator-fixture.ts';

/** What passed between agent and coordinator, in order; a mark is something that an operator did. */
type Said =
  | { readonly mark: string; readonly body: unknown }
  | { readonly up: unknown }
  | { readonly down: unknown }
  | {
      readonly method: string;
      readonly path: string;
      readonly ifNoneMatch: string | null;
      readonly body: unknown;
      status: number;
      etag: string | null;
      reply: unknown;
    };

/** So that nothing is under way when an operator does something. */
const QUIET_MS = 1_500;
const said: Said[] = [];
const jsonOf = (text: string): unknown => (text === '' ? null : JSON.parse(text));

subscribe('http.server.request.start', (message) => {
  const { request, response } = message as { request: IncomingMessage; response: ServerResponse };
  const path = request.url ?? '';
  if (!path.startsWith('/v1/node/') && path !== '/v1/enroll') return;
  if (path === '/v1/node/channel') return;
  const chunks: Buffer[] = [];
  const { push } = request;
  request.push = (chunk, encoding) => {
    if (chunk !== null) chunks.push(Buffer.from(chunk));
    return push.call(request, chunk, encoding);
  };
  const { end } = response;
  response.end = ((...args: Parameters<typeof end>) => {
    said.push({
      method: request.method ?? '',
      path,
      ifNoneMatch: request.headers['if-none-match'] ?? null,
      body: jsonOf(Buffer.concat(chunks).toString('utf8')),
      status: response.statusCode,
      etag: String(response.getHeader('etag') ?? '') || null,
      reply: typeof args[0] === 'string' ? jsonOf(args[0]) : null,
    });
    return end.apply(response, args);
  }) as typeof end;
});

// Only the coordinator uses this package: the agent's WebSocket is another.
const { emit, send } = WebSocket.prototype;
WebSocket.prototype.emit = function (name: string | symbol, ...args: unknown[]) {
  if (name === 'message') said.push({ up: jsonOf(String(args[0])) });
  return emit.call(this, name, ...args);
};
WebSocket.prototype.send = function (this: WebSocket, ...args: unknown[]) {
  said.push({ down: jsonOf(String(args[0])) });
  return Reflect.apply(send, this, args);
} as typeof send;

const [outDir = 'test/upgrade/testdata'] = process.argv.slice(2);
const fixture = await startFixture({ heartbeatSeconds: 1, bootListen: null });
const secrets = { credential: fixture.credential, history: '' };
const conversation = await converse(fixture);
const heard = [...said];
await fillStore(fixture);
await fixture.coordinator.stop();
const file = join(fixture.stateDir, 'store.sqlite');
writeFileSync(join(outDir, `store-${VERSION}.sql.gz`), gzipSync(dump(file), { level: 9 }));
const text = JSON.stringify({ version: VERSION, ...conversation, said: heard });
writeFileSync(join(outDir, `agent-${VERSION}.json.gz`), gzipSync(text, { level: 9 }));
process.stdout.write(`${heard.length} messages, store of ${dump(file).length} characters\n`);
await fixture.close();

/** A real agent from its enrollment to its goodbye, and its next life. */
async function converse({ admin }: Fixture) {
  const first = testModule('web');
  const second = testModule('web', { version: '1.0.2', sequence: 2 });
  const modules = [first, second];
  const node = NodeName.parse('agent-1');
  const instance = await fixture.instance(node, { modules: [first.ref] });
  const show = async () =>
    bodyOf(await admin.call(routes.getInstance, { params: { id: instance } }));
  said.push({ mark: 'spec', body: { modules: [first.ref] } });
  const agent = await startAgent(fixture, instance, { modules });
  await eventually(show, ({ confirmed }) => confirmed === 1);
  await setTimeout(QUIET_MS);
  said.push({ mark: 'spec', body: { modules: [second.ref] } });
  await admin.call(routes.putNodeSpec, {
    params: { name: node },
    body: NodeSpec.parse({ modules: [second.ref] }),
  });
  await eventually(show, ({ confirmed }) => confirmed === 2);
  await setTimeout(QUIET_MS);
  const spec = { kind: 'collect-logs', lines: 5 };
  said.push({ mark: 'task', body: spec });
  await doTask(instance, spec);
  await agent.stop();
  said.push({ mark: 'stopped', body: null });
  const next = await startAgent(fixture, instance, {
    modules,
    dir: agent.dir,
    bootId: '44444444-4444-4444-8444-444444444444',
  });
  await eventually(show, ({ connected, heartbeat }) => connected && heartbeat?.phase === 'ready');
  await next.stop();
  await removeDir(agent.dir);
  return { instance, node };
}

async function doTask(instance: InstanceId, spec: object): Promise<void> {
  const body = { instance, spec: TaskSpec.parse(spec), idempotencyKey: 'logs' };
  const { id } = bodyOf(await fixture.admin.call(routes.createTask, { body }));
  await eventually(
    async () => bodyOf(await fixture.admin.call(routes.getTask, { params: { id } })),
    ({ state }) => state === 'succeeded',
  );
}

/** At least one record of each kind that this version writes, in several of their states. */
async function fillStore({ admin, client }: Fixture): Promise<void> {
  secrets.history = bodyOf(await admin.call(routes.getStatus, {})).history;
  const spec = { macs: ['52:54:00:00:00:77'], labels: { rack: 'a1' } };
  const ended = await fixture.node('ended-1', spec);
  await admin.call(routes.terminateInstance, { params: { id: ended.id }, body: {} });
  const pending = await fixture.instance('pending-1');
  await fixture.token(pending);
  await admin.call(routes.createTask, {
    body: { instance: pending, spec: TaskSpec.parse({ kind: 'reboot' }) },
  });
  await admin.call(routes.createCredential, {
    body: { name: CredentialName.parse('watcher'), role: 'viewer' },
  });
  const secret = BootstrapToken.parse('s'.repeat(43));
  const body = { csr: csrOf(newKey(), null), secret, facts: FACTS };
  await client().client.call(routes.openClaim, { body });
  await admin.call(routes.rotateCa, { body: {} });
  await admin.call(routes.getCrl, {});
}

/** As the sqlite3 shell's .dump has it; what is needed to use it stands in the first line. */
function dump(path: string): string {
  const db = new DatabaseSync(path);
  const lines = [`-- ${JSON.stringify(secrets)}`];
  for (const name of ['application_id', 'user_version'])
    lines.push(`PRAGMA ${name} = ${Object.values(db.prepare(`PRAGMA ${name}`).get() ?? {})[0]};`);
  const tables = db
    .prepare('SELECT name, type, sql FROM sqlite_schema WHERE sql IS NOT NULL')
    .all();
  for (const { sql } of tables) lines.push(`${sql};`);
  const quoted = (value: unknown): string =>
    value === null
      ? 'NULL'
      : typeof value === 'string'
        ? `'${value.replaceAll("'", "''")}'`
        : String(value);
  for (const { name, type } of tables) {
    if (type !== 'table') continue;
    for (const row of db.prepare(`SELECT * FROM ${name}`).all())
      lines.push(`INSERT INTO ${name} VALUES (${Object.values(row).map(quoted).join(', ')});`);
  }
  db.close();
  return `${lines.join('\n')}\n`;
}
