// A coordinator of this version over the store of an earlier one, and that version's agent as it was
// recorded (upgrade-record.ts), said again to it.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { mkdir, mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { gunzipSync } from 'node:zlib';
import { WebSocket } from 'undici';
import { routes } from '../../shared/routes/table.ts';
import type { NodeName } from '../../shared/schema/ids.ts';
import { NodeSpec } from '../../shared/schema/records.ts';
import { TaskSpec } from '../../shared/schema/task.ts';
import { bodyOf, csrOf, type Fixture, newKey, raw } from '../coordinator/coordinator-fixture.ts';

const read = (name: string) =>
  gunzipSync(readFileSync(join(import.meta.dirname, 'testdata', name))).toString('utf8');

export interface OldState {
  readonly stateDir: string;
  readonly file: string;
  readonly credential: string;
  readonly history: string;
}

/** A state directory with that version's store, and a context for its admin. */
export async function oldState(version: string): Promise<OldState> {
  const sql = read(`store-${version}.sql.gz`);
  const { credential, history } = JSON.parse(sql.slice(3, sql.indexOf('\n')));
  const stateDir = await mkdtemp(join(tmpdir(), 'billet-upgrade-'));
  await mkdir(stateDir, { recursive: true });
  const file = join(stateDir, 'store.sqlite');
  const db = new DatabaseSync(file);
  db.exec(`BEGIN; ${sql} COMMIT;`);
  db.close();
  const context = { url: 'https://old', ca: '', credential };
  await writeFile(join(stateDir, 'admin.json'), JSON.stringify(context), { mode: 0o600 });
  return { stateDir, file, credential, history };
}

type Json = null | boolean | number | string | Json[] | { [key: string]: Json };
type Said =
  | { mark: string; body: Json }
  | { up: Json }
  | { down: Json }
  | {
      method: 'GET' | 'POST';
      path: string;
      ifNoneMatch: string | null;
      body: Json;
      status: number;
      etag: string | null;
      reply: Json;
    };

export interface Conversation {
  readonly instance: string;
  readonly node: string;
  readonly said: readonly Said[];
}

export const recorded = (version: string): Conversation =>
  JSON.parse(read(`agent-${version}.json.gz`));

/**
 * Says again what that agent said, as a new node `name`, and checks that each answer has all that it had
 * then. Returns how many requests and heartbeats were answered.
 */
export async function replay(
  fixture: Fixture,
  { instance, said }: Conversation,
  name: NodeName,
): Promise<number> {
  const first = said.find((one) => 'mark' in one);
  const id = await fixture.instance(name, first?.body as object);
  const key = newKey();
  /** What was said then -> what that is now. */
  const now = new Map<string, string>([[instance, id]]);
  const translated = (value: Json): Json => {
    let text = JSON.stringify(value);
    for (const [then, is] of now)
      text = text.replaceAll(JSON.stringify(then).slice(1, -1), JSON.stringify(is).slice(1, -1));
    return JSON.parse(text);
  };
  let certificate: string | undefined;
  let socket: WebSocket | undefined;
  const replies: Json[] = [];
  const news = new EventTarget();
  let answered = 0;

  async function openChannel(): Promise<WebSocket> {
    const { agent } = fixture.client({ key: key.pem, ...(certificate ? { certificate } : {}) });
    const url = `${fixture.coordinator.url.replace('https', 'wss')}/v1/node/channel`;
    const opened = new WebSocket(url, { dispatcher: agent });
    opened.addEventListener('message', ({ data }) => {
      replies.push(JSON.parse(String(data)));
      news.dispatchEvent(new Event('news'));
    });
    await once(opened, 'open');
    return opened;
  }

  async function heartbeat(up: { seq: number }): Promise<Json> {
    socket ??= await openChannel();
    socket.send(JSON.stringify(up));
    const isReply = (one: Json) => Object(one).type !== 'nudge' && Object(one).seq === up.seq;
    while (!replies.some(isReply)) await once(news, 'news');
    const at = replies.findIndex(isReply);
    return replies.splice(at, 1)[0] ?? null;
  }

  const learn = (then: Json, is: Json): void => {
    if (typeof then === 'string' && typeof is === 'string' && then !== is) {
      if (/^([ti]-[0-9a-z]{16}|".*")$/.test(then)) now.set(then, is);
    } else if (then !== null && is !== null && typeof then === 'object' && typeof is === 'object')
      for (const [field, value] of Object.entries(then)) learn(value, Object(is)[field] ?? null);
  };

  for (const one of said) {
    if ('mark' in one) {
      if (one.mark === 'spec') await operate.spec(fixture, name, one.body as object);
      if (one.mark === 'task') await operate.task(fixture, id, one.body as object);
      if (one.mark !== 'stopped') continue;
      socket?.close();
      socket = undefined;
    } else if ('up' in one) {
      const up = translated(one.up) as { seq: number };
      const then = said
        .slice(said.indexOf(one))
        .find((other) => 'down' in other && Object(other.down).seq === up.seq);
      assert.ok(then && 'down' in then);
      const reply = await heartbeat(up);
      assertHas(reply, then.down, 'reply to a heartbeat');
      learn(then.down, reply);
      answered += 1;
    } else if ('method' in one) {
      const enrolls = one.path === '/v1/enroll';
      const body = enrolls
        ? { ...Object(one.body), instance: id, token: await fixture.token(id), csr: csrOf(key, id) }
        : translated(one.body);
      const { agent } = fixture.client(certificate ? { key: key.pem, certificate } : {});
      const tag = one.ifNoneMatch === null ? null : String(translated(one.ifNoneMatch));
      const answer = await raw(fixture, String(translated(one.path)), {
        method: one.method,
        agent,
        headers: {
          'content-type': 'application/json',
          ...(tag === null ? {} : { 'if-none-match': tag }),
        },
        ...(one.method === 'GET' ? {} : { body: JSON.stringify(body) }),
      });
      const what = `${one.method} ${one.path}`;
      assert.equal(answer.status, one.status, `${what}: ${answer.text}`);
      assertHas(answer.json, one.reply, what);
      assert.equal(answer.headers.etag === undefined, one.etag === null, what);
      learn([one.etag, one.reply], [String(answer.headers.etag ?? ''), answer.json]);
      if (enrolls) certificate = answer.json.certificate;
      answered += 1;
    }
  }
  socket?.close();
  return answered;
}

const operate = {
  spec: (fixture: Fixture, name: NodeName, spec: object) =>
    fixture.admin.call(routes.putNodeSpec, { params: { name }, body: NodeSpec.parse(spec) }),
  task: async (fixture: Fixture, instance: string, spec: object) =>
    bodyOf(
      await fixture.admin.call(routes.createTask, {
        body: { instance: instance as never, spec: TaskSpec.parse(spec) },
      }),
    ),
};

/** All fields of `then` are in `is`, of the same types: what an agent of then has to find. */
function assertHas(is: unknown, then: Json, where: string): void {
  if (then === null) return;
  assert.equal(typeof is, typeof then, where);
  if (Array.isArray(then)) {
    assert.ok(Array.isArray(is), where);
    if (then.length > 0) assertHas(is[0], then[0] ?? null, `${where}[0]`);
    return;
  }
  if (typeof then !== 'object') return;
  for (const [field, value] of Object.entries(then)) {
    const found = (is as Record<string, unknown>)[field];
    assertHas(found, value, `${where}.${field}`);
    if (field === 'payload')
      assertHas(decoded(String(found)), decoded(String(value)) as Json, `${where} payload`);
  }
}

const decoded = (base64: string): unknown =>
  JSON.parse(Buffer.from(base64, 'base64').toString('utf8'));
