// `billet instance why` against a real coordinator: a node that fails after a change, with the evidence
// as it lies in the store.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { EXIT } from '../../cli/failure.ts';
import { billet } from '../../cli/testing.ts';
import { Digest } from '../../shared/digest.ts';
import { routes } from '../../shared/routes/table.ts';
import { NodeName } from '../../shared/schema/ids.ts';
import { NodeSpec } from '../../shared/schema/records.ts';
import type { Why } from '../../shared/schema/why.ts';
import { type Fixture, heartbeatOf, startFixture, type TestNode } from './coordinator-fixture.ts';

const HOUR = 3_600_000;
const NAME = NodeName.parse('web-1');
const digest = (letter: string) => Digest.parse(`sha256:${letter.repeat(64)}`);

const web = (version: string, letter: string) => ({
  ...{ name: 'web', kind: 'service', version, repository: 'web' },
  ...{ manifest: digest(letter), image: digest(letter) },
});

let fixture: Fixture;
let node: TestNode;
before(async () => {
  fixture = await startFixture();
  node = await fixture.node(NAME, { modules: [web('1.0.0', 'a')] });
});
after(() => fixture.close());

const run = (...args: readonly string[]) =>
  billet(['instance', 'why', ...args], {
    env: { BILLET_CONTEXT: fixture.coordinator.adminContextPath },
    clock: fixture.clock,
  });

async function why(...args: readonly string[]): Promise<Why> {
  const { code, stdout, stderr } = await run(NAME, ...args, '--json');
  assert.equal(code, 0, stderr);
  return JSON.parse(stdout);
}

const report = (generation: number, state: string, version: string, letter: string) =>
  node.client.call(routes.heartbeat, {
    body: heartbeatOf({
      ...{ phase: state === 'failed' ? 'degraded' : 'ready', generation },
      modules: [{ ...web(version, letter), state } as never],
      lastReconcile: {
        ...{ at: '2026-11-21T12:00:00.000Z', steps: 2 },
        ...(state === 'failed'
          ? { outcome: 'failed', code: 'UNIT_FAILED', message: 'web.service: exit code 1' }
          : { outcome: 'converged' }),
      },
    }),
  });

const put = (fields: object) =>
  fixture.admin.call(routes.putNodeSpec, { params: { name: NAME }, body: NodeSpec.parse(fields) });

test('of a node that runs well, it says so', async () => {
  await report(1, 'attached', '1.0.0', 'a');
  const { failure, confidence, reasoning } = await why();
  assert.deepEqual([failure, confidence], [null, 'none']);
  assert.match(reasoning, /nothing is wrong/);
});

test('a module that fails after its change is named first, before an older change of settings', async () => {
  await put({ modules: [web('1.0.0', 'a')], settings: { timezone: 'Europe/Berlin' } });
  await report(2, 'attached', '1.0.0', 'a');
  fixture.clock.advance(3 * HOUR);
  await put({ modules: [web('1.1.0', 'b')], settings: { timezone: 'Europe/Berlin' } });
  await report(3, 'failed', '1.1.0', 'b');
  fixture.clock.advance(HOUR);

  const { failure, confidence, causes, looked } = await why();
  assert.equal(failure?.kind, 'module');
  assert.equal(confidence, 'high');
  assert.equal(causes[0]?.what, 'module web: 1.0.0 became 1.1.0');
  const settings = causes.find(({ kind }) => kind === 'settings');
  assert.equal(settings?.what, 'settings: timezone');
  assert.ok((settings?.score ?? 100) < (causes[0]?.score ?? 0));
  assert.ok(looked.events >= 4 && !looked.truncated);

  // The evidence is the event of the change itself.
  const source = /^event (\d+)$/.exec(causes[0]?.evidence[0]?.source ?? '')?.[1];
  const { stdout } = await billet(['events', '--subject', 'node/web-1', '--json'], {
    env: { BILLET_CONTEXT: fixture.coordinator.adminContextPath },
  });
  assert.match(stdout, new RegExp(`"revision":\\s*${source}\\b`));
});

test('changes before the time that is looked at are left out', async () => {
  const { causes } = await why('--hours', '2');
  assert.ok(causes.every(({ kind }) => kind !== 'settings'));
  assert.equal(causes[0]?.kind, 'module');
});

test('people get lines that fit, each cause with its evidence and the next command', async () => {
  const { code, stdout, stderr } = await run(NAME);
  assert.equal(code, 0, stderr);
  assert.match(stdout, /^failure +module, 60 min ago \(heartbeat\)$|^failure +module, 1 h ago/m);
  assert.match(stdout, /^1\. \d+ points +module web: 1\.0\.0 became 1\.1\.0/m);
  assert.match(stdout, /^ {2}next +billet node set web-1/m);
  for (const line of stdout.split('\n'))
    assert.ok([...line].length <= 80 || /\S{60}/.test(line), line);
});

test('another node on the same manifest that runs well takes blame from the module', async () => {
  const before = (await why()).causes[0]?.score ?? 0;
  const other = await fixture.node('web-2', { modules: [web('1.1.0', 'b')] });
  await other.client.call(routes.heartbeat, {
    body: heartbeatOf({
      ...{ phase: 'ready', generation: 1 },
      modules: [{ ...web('1.1.0', 'b'), state: 'attached' } as never],
    }),
  });
  const { causes } = await why();
  const module = causes.find(({ kind }) => kind === 'module');
  assert.ok((module?.score ?? 100) <= before);
  assert.ok(module?.reasons.includes('-15 the same manifest runs well on 1 others'));
});

test('no instance, no node and no such time are refused', async () => {
  assert.equal((await run('i-0000000000000000')).code, EXIT.notFound);
  assert.equal((await run('nobody')).code, EXIT.notFound);
  for (const hours of ['0', '721', 'x'])
    assert.equal((await run(NAME, '--hours', hours)).code, EXIT.usage);
});
