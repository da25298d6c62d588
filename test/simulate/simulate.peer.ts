// `billet simulate` against a real coordinator in this process: what it measures, what it leaves when it
// ends, is cut short or fails, and what it does not touch.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { EXIT } from '../../cli/failure.ts';
import type { Simulation } from '../../cli/simulate/simulate.ts';
import { billet } from '../../cli/testing.ts';
import { routes } from '../../shared/routes/table.ts';
import { NodeName } from '../../shared/schema/ids.ts';
import { NodeSpec } from '../../shared/schema/records.ts';
import { bodyOf, type Fixture, startFixture } from '../coordinator/coordinator-fixture.ts';

let fixture: Fixture;
before(async () => {
  fixture = await startFixture();
  await fixture.instance('try-0');
});
after(() => fixture.close());

const env = () => ({ BILLET_CONTEXT: fixture.coordinator.adminContextPath });
const simulate = (signal: AbortSignal, ...args: readonly string[]) =>
  billet(['simulate', ...args], { env: env(), signal });
const { signal: never } = new AbortController();
const QUICK = ['--seconds', '1', '--interval', '1'];

async function simulated(...args: readonly string[]): Promise<Simulation> {
  const { code, stdout, stderr } = await simulate(never, ...args, '--json');
  assert.equal(code, 0, stderr);
  return JSON.parse(stdout);
}

/** Names of nodes and templates, and how many instances live. */
async function there() {
  const query = { limit: 1000 };
  const [nodes, templates, status] = await Promise.all([
    fixture.admin.call(routes.listNodes, { query }),
    fixture.admin.call(routes.listTemplates, { query }),
    fixture.admin.call(routes.getStatus, {}),
  ]);
  return {
    nodes: bodyOf(nodes).items.map(({ name }) => name),
    templates: bodyOf(templates).items.map(({ name }) => name),
    connected: bodyOf(status).connected,
  };
}
const OURS_ALONE = { nodes: ['try-0'], templates: [], connected: 0 };

for (const how of ['channel', 'poll'])
  test(`agents enroll, connect, report and follow a change by ${how}, and nothing is left`, async () => {
    const poll = how === 'poll' ? ['--poll'] : [];
    const result = await simulated('--agents', '12', ...QUICK, ...poll);
    for (const phase of ['prepared', 'enrolled', 'connected', 'changed'] as const) {
      assert.equal(result[phase].count, 12, phase);
      assert.ok(result[phase].perSecond > 0, phase);
    }
    assert.ok(result.heartbeats.count >= 10, `${result.heartbeats.count}`);
    assert.equal(result.heartbeats.failed, 0);
    // At least: its node, instance, token, enrollment, and the change.
    assert.ok(result.events.count >= 12 * 4, `${result.events.count} events`);
    assert.equal(result.lost, 0);
    assert.ok(result.changed.seconds < 10);
    assert.deepEqual(await there(), OURS_ALONE);
  });

test('people get a table that fits, with what limits the number of agents', async () => {
  const { code, stdout, stderr } = await simulate(never, '--agents', '2', ...QUICK);
  assert.equal(code, 0, stderr);
  for (const line of stdout.split('\n')) assert.ok(line.length <= 80, line);
  assert.match(stdout, /^enrolled +2 /m);
  assert.match(stdout, /^change +at all 2 after \d/m);
  assert.match(stdout, /^limit +\d+ agents here, by (open files|memory|local ports):/m);
});

for (const phase of ['prepared', 'enrolled', 'heartbeats: '])
  test(`Ctrl-C after "${phase}" ends it with 130, and nothing is left`, async () => {
    const interrupt = new AbortController();
    const running = billet(['simulate', '--agents', '6', '--seconds', '60', '--interval', '1'], {
      env: env(),
      signal: interrupt.signal,
      stderr: new (await import('node:stream')).Writable({
        write(chunk, _encoding, done) {
          if (String(chunk).startsWith(phase)) interrupt.abort();
          done();
        },
      }),
    });
    assert.equal((await running).code, EXIT.interrupted);
    assert.deepEqual(await there(), OURS_ALONE);
  });

test('a name that is taken is refused, and what has it is left alone', async () => {
  const kept = await simulated('--agents', '2', ...QUICK, '--name', 'try-it', '--keep');
  assert.equal(kept.name, 'try-it');
  const { code, stderr } = await simulate(never, '--agents', '2', ...QUICK, '--name', 'try-it');
  assert.equal(code, EXIT.failed);
  assert.match(stderr, /try-it is there already\nhint: .*--remove/);
  assert.deepEqual((await there()).nodes, ['try-0', 'try-it-0', 'try-it-1']);

  const removed = await simulate(never, '--remove');
  assert.match(removed.stdout, /^try-it: 2 nodes are removed$/m);
  assert.deepEqual(await there(), OURS_ALONE);
});

test('a node that has a name of the simulation ends it, and stays', async () => {
  const spec = NodeSpec.parse({ labels: { ours: 'yes' } });
  await fixture.admin.call(routes.createNode, { body: { name: NodeName.parse('mine-1'), spec } });
  const { code, stderr } = await simulate(never, '--agents', '3', ...QUICK, '--name', 'mine');
  assert.equal(code, EXIT.failed);
  assert.match(stderr, /code: CONFLICT/);
  assert.deepEqual(await there(), { ...OURS_ALONE, nodes: ['mine-1', 'try-0'] });
  await fixture.admin.call(routes.deleteNode, { params: { name: NodeName.parse('mine-1') } });
});

test('more agents than this machine can carry are refused before anything is made', async () => {
  const at = bodyOf(await fixture.admin.call(routes.getStatus, {})).revision;
  const { code, stderr } = await simulate(never, '--agents', '100000', '--poll');
  assert.equal(code, EXIT.failed);
  assert.match(stderr, /more than the \d+ that (open files|memory|local ports) allow here/);
  assert.match(stderr, /^hint: .+$/m);
  assert.match(stderr, /code: UNSUPPORTED/);
  for (const wrong of [[], ['--agents', '0'], ['--agents', '2', '--name', 'a.b']])
    assert.equal((await simulate(never, ...wrong)).code, EXIT.usage, wrong.join(' '));
  assert.equal(bodyOf(await fixture.admin.call(routes.getStatus, {})).revision, at);
});
