// Silence over a real coordinator: an agent that stops is told of, resolved when told to be quiet and when
// it is back; and what an operator does with signals on the command line.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { billet } from '../../cli/testing.ts';
import { routes } from '../../shared/routes/table.ts';
import { ClassSpec } from '../../shared/schema/class.ts';
import type { InstanceId } from '../../shared/schema/ids.ts';
import { eventually, removeDir, startAgent } from '../agent/agent-fixture.ts';
import { bodyOf, type Fixture, startFixture } from '../coordinator/coordinator-fixture.ts';

let fixture: Fixture;
let admin: Fixture['admin'];
const dirs: string[] = [];

before(async () => {
  fixture = await startFixture({
    heartbeatSeconds: 1,
    signals: { everySeconds: 1, silentAfterSeconds: 3 },
  });
  admin = fixture.admin;
});

after(async () => {
  await fixture.close();
  await Promise.all(dirs.map(removeDir));
});

const run = (...args: string[]) =>
  billet(args, { env: { BILLET_CONTEXT: fixture.coordinator.adminContextPath } });

async function lines(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await run(...args);
  assert.equal(code, 0, `${args.join(' ')}: ${stderr}`);
  return stdout;
}

async function fails(exit: number, code: string, ...args: string[]): Promise<void> {
  const { code: ended, stderr } = await run(...args);
  assert.equal(ended, exit, stderr);
  assert.match(stderr, new RegExp(`^error: .+\\nhint: .+\\ncode: ${code}\\n$`, 's'));
}

const stateOf = async (id: InstanceId) => {
  const query = { instance: id, state: 'all' } as const;
  const { items } = bodyOf(await admin.call(routes.listSignals, { query }));
  return items.find(({ kind }) => kind === 'instance.silent')?.state ?? null;
};
const becomes = (id: InstanceId, state: string) =>
  eventually(
    () => stateOf(id),
    (now) => now === state,
  );

test('an agent that stops is silent, until it is told to be quiet, and until it is back', async () => {
  const instance = await fixture.instance('web-1');
  const agent = await startAgent(fixture, instance, { modules: [] });
  dirs.push(agent.dir);
  await eventually(
    async () => bodyOf(await admin.call(routes.getInstance, { params: { id: instance } })),
    ({ state }) => state === 'running',
  );
  await agent.stop();
  await becomes(instance, 'open');
  const id = `${instance}.silent`;

  assert.match(await lines('signal', 'list'), new RegExp(`${id} +web-1 +open`));
  const shown = await lines('signal', 'show', id);
  assert.match(shown, /kind +instance\.silent/);
  assert.match(shown, /remedy +none: a person has to look/);
  assert.match(
    await lines('instance', 'show', 'web-1'),
    new RegExp(`signal +${id}, open for .*\n(.*\n)+next `),
  );
  assert.match(await lines('signal', 'ack', id, '--opening', '1'), /is acknowledged/);
  await fails(1, 'CONFLICT', 'signal', 'ack', id, '--opening', '2');
  await fails(1, 'CONFLICT', 'signal', 'approve', id);
  await fails(1, 'CONFLICT', 'signal', 'delete', id);

  assert.match(
    await lines('instance', 'quiet', 'web-1', '--for', '10m', '--reason', 'new memory'),
    /may be silent until .*: new memory/,
  );
  await becomes(instance, 'resolved');
  assert.match(await lines('instance', 'quiet', 'web-1'), /may be silent until/);
  const quiet = await lines('instance', 'show', 'web-1');
  assert.match(quiet, /quiet +until .*, by .*: new memory/);
  assert.doesNotMatch(quiet, /^signal/m);
  assert.match(await lines('signal', 'list'), /^no signals/);
  assert.match(await lines('signal', 'list', '--all'), /resolved/);
  assert.match(await lines('instance', 'quiet', 'web-1', '--end'), /is expected to be heard/);
  await becomes(instance, 'open');

  assert.match(await lines('signal', 'dismiss', id), /is dismissed/);
  const again = await startAgent(fixture, instance, { modules: [], dir: agent.dir });
  await eventually(
    async () => bodyOf(await admin.call(routes.getInstance, { params: { id: instance } })),
    ({ connected }) => connected,
  );
  const told = await lines('events', '--subject', `instance/${instance}`);
  const kinds = [...told.matchAll(/ ((?:signal|instance)\.[a-z_]+) /g)].map(([, kind]) => kind);
  assert.deepEqual(
    kinds.filter((kind) => /silent|signal|quiet/.test(kind ?? '')),
    [
      ...['instance.silent', 'signal.acknowledged', 'instance.quiet', 'signal.resolved'],
      ...['instance.quiet', 'instance.silent', 'signal.dismissed'],
    ],
  );
  assert.match(await lines('signal', 'delete', id), /is deleted/);
  await fails(3, 'NOT_FOUND', 'signal', 'show', id);
  await again.stop();
});

test('what is no signal, no time and no policy is refused with what it takes', async () => {
  await fails(2, 'ARGUMENT_INVALID', 'signal', 'show', 'web-1');
  await fails(2, 'ARGUMENT_INVALID', 'signal', 'list', '--topic', 'noise');
  await fails(2, 'ARGUMENT_INVALID', 'instance', 'quiet', 'web-1', '--for', 'long');
  await fails(2, 'ARGUMENT_INVALID', 'instance', 'quiet', 'web-1', '--for', '30d');
  await fails(2, 'ARGUMENT_INVALID', 'instance', 'quiet', 'web-1', '--for', '1m', '--end');
  await fails(3, 'NOT_FOUND', 'instance', 'quiet', 'i-0000000000000000', '--for', '1m');
  await fails(3, 'NOT_FOUND', 'signal', 'approve', 'i-0000000000000000.drift');
  const wrong = { signals: { drift: 'sometimes' } };
  assert.ok(!ClassSpec.safeParse(wrong).success);
  assert.ok(!ClassSpec.safeParse({ signals: { noise: 'ask' } }).success);
});
