// `billet apply` against a real coordinator: the plan, doing it, doing it again, pruning, replaying
// it on an empty coordinator, and two operators at once.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { applyPlan } from '../../cli/apply/apply.ts';
import { readDocuments } from '../../cli/apply/documents.ts';
import { observe } from '../../cli/apply/observe.ts';
import { planApply } from '../../cli/apply/plan.ts';
import { withCoordinator } from '../../cli/remote.ts';
import { testIo } from '../../cli/testing.ts';
import { type ApplyFixture, applyFixture, FLEET } from './apply-fixture.ts';

const ESC = '\u001b';
const [GREEN, OFF] = [`${ESC}[32m`, `${ESC}[0m`];
const ESCAPES = new RegExp(`${ESC}\\[\\d+m`, 'g');

let fixture: ApplyFixture;
before(async () => {
  fixture = await applyFixture();
});
after(() => fixture.close());

const apply = (...args: string[]) => ['apply', '-f', fixture.documents, ...args];

interface NodeView {
  readonly name: string;
  readonly generation: number;
  readonly spec: object;
  readonly derived: {
    readonly lifecycleClass: string;
    readonly publication: string;
    readonly modules: readonly { readonly version: string }[];
    readonly settings: object;
  };
}

const node = (name: string): Promise<NodeView> => fixture.json('node', 'show', name);

test('a dry run shows what would be made, in 80 columns and in colour on a terminal, and makes nothing', async () => {
  await fixture.write('fleet.yaml', FLEET);
  const plain = await fixture.out(...apply('--dry-run'));
  assert.match(
    plain,
    /^--- \/dev\/null\n\+\+\+ Architecture\/amd64\n@@ -0,0 \+1,7 @@\n\+kind: Arch/,
  );
  assert.match(plain, /10 to create, 0 to change, 0 to delete, 0 as written\n$/);
  const shown = await fixture.run(apply('--dry-run'), { colour: true });
  assert.ok(shown.stdout.includes(`${GREEN}+kind: Architecture${OFF}\n`));
  for (const line of [...plain.split('\n'), ...shown.stdout.split('\n')])
    assert.ok(line.replaceAll(ESCAPES, '').length <= 80, line);
  assert.deepEqual(await fixture.json('architecture', 'list'), []);
});

test('documents in any order are made in the order of their references, and once', async () => {
  const made = await fixture.out(...apply('--set', 'fleet'));
  assert.match(made, /^\+ Architecture amd64\n\+ Platform debian\n\+ Publication debian-1\n/);
  assert.match(made, /done: 10 of 10\n$/);
  const one = await node('edge-1');
  assert.equal(one.derived.lifecycleClass, 'ephemeral');
  assert.equal(one.derived.publication, 'debian-1');
  assert.deepEqual(one.derived.settings, { hostname: 'edge-1', timezone: 'Asia/Tokyo' });
  assert.equal((await node('edge-2')).derived.modules[0]?.version, '2.0.0');
  const again = await fixture.out(...apply('--set', 'fleet'));
  assert.equal(again, '0 to create, 0 to change, 0 to delete, 10 as written\nnothing to do\n');
  assert.equal((await node('edge-1')).generation, 1);
});

test('each record can be listed, shown, and shown as the document that makes it', async () => {
  const kinds = [
    ['architecture', 'amd64'],
    ['platform', 'debian'],
    ['publication', 'debian-1'],
    ['template', 'edge-base'],
    ['region', 'here'],
    ['instance-type', 'small'],
    ['class', 'worker'],
    ['pool', 'edge'],
  ] as const;
  for (const [kind, name] of kinds) {
    const listed = await fixture.out(kind, 'list', '--set', 'fleet');
    assert.match(listed, new RegExp(`^${kind.toUpperCase()} .+\n${name} .+fleet`, 's'));
    for (const line of listed.split('\n')) assert.ok(line.length <= 80, line);
    assert.match(await fixture.out(kind, 'show', name), new RegExp(`${kind} +${name}\n`));
    await fixture.write('shown.yaml', await fixture.out(kind, 'show', name, '--yaml'));
    const shown = await fixture.out('apply', '-f', `${fixture.documents}/shown.yaml`);
    assert.match(shown, /0 to change, 0 to delete, 1 as written\nnothing to do/);
    assert.equal((await fixture.json<{ name: string }[]>(kind, 'list'))[0]?.name, name);
    await fixture.fails('NOT_FOUND', kind, 'show', 'nowhere');
  }
  await fixture.remove('shown.yaml');
});

test('a changed template is shown as a diff, and its nodes follow; those that say otherwise do not', async () => {
  await fixture.write('fleet.yaml', FLEET.replace("['base:1.0.0']", "['base:2.0.0']"));
  const diff = await fixture.out(...apply('--dry-run'));
  assert.match(diff, /^--- Template\/edge-base\n\+\+\+ Template\/edge-base\n@@ /);
  assert.match(diff, /\n- {6}version: 1\.0\.0\n/);
  assert.match(diff, /\n\+ {6}version: 2\.0\.0\n/);
  await fixture.out(...apply());
  for (;;) {
    const one = await node('edge-1');
    if (one.generation === 2 && one.derived.modules[0]?.version === '2.0.0') break;
  }
  assert.equal((await node('edge-2')).generation, 1);
  const events = await fixture.out('events', '--subject', 'template/edge-base');
  assert.match(events, /template\.changed/);
});

test('pruning deletes what an earlier apply of the set made, and nothing else', async () => {
  await fixture.fails('ARGUMENT_INVALID', ...apply('--prune'));
  await fixture.out('node', 'create', 'by-hand');
  const without =
    FLEET.slice(0, FLEET.indexOf('---\nkind: Node\nname: edge-2')) +
    FLEET.slice(FLEET.indexOf('---\nkind: Pool'));
  await fixture.write('fleet.yaml', without.replace("['base:1.0.0']", "['base:2.0.0']"));
  assert.match(await fixture.out(...apply('--set', 'another', '--prune')), /nothing to do/);
  const pruned = await fixture.out(...apply('--set', 'fleet', '--prune'));
  assert.match(pruned, /^- Node edge-2\n0 to create, 0 to change, 1 to delete, 9 as written\n/);
  await fixture.fails('NOT_FOUND', 'node', 'show', 'edge-2');
  assert.equal((await node('by-hand')).generation, 1);
});

test('what is in use is not deleted, and the message names its users', async () => {
  const why = await fixture.fails('IN_USE', 'class', 'delete', 'worker');
  assert.match(why, /the class worker is used by pool\/edge/);
  assert.match(await fixture.fails('IN_USE', 'pool', 'delete', 'edge'), /node\/edge-1/);
});

test('two operators at one record: the later one is told to look again, and undoes nothing', async () => {
  const region = (zone: string) =>
    `kind: Region\nname: here\nspec: { provider: local-qemu, zone: ${zone} }\n`;
  await fixture.write('ann.yaml', region('ann'));
  await fixture.write('bob.yaml', region('bob'));
  const [ann, bob] = ['ann', 'bob'].map((name) => `${fixture.documents}/${name}.yaml`);
  const { io } = testIo({ env: { BILLET_CONTEXT: fixture.context() } });
  await withCoordinator(io, {}, async (coordinator) => {
    const documents = await readDocuments(ann ?? '');
    const { existing } = await observe(coordinator, documents, null);
    const plan = planApply(documents, existing, []);
    await fixture.out('apply', '-f', bob ?? '');
    await assert.rejects(applyPlan(coordinator, plan, null), {
      code: 'CONFLICT',
      message: /^region\/here: .+ \(0 of 1 steps were done\)$/,
      hint: /billet apply --dry-run/,
    });
  });
  assert.match(await fixture.out('region', 'show', 'here'), /zone: bob/);
  await fixture.remove('ann.yaml', 'bob.yaml');
});

test('the documents are their own backup: on an empty coordinator they make the same fleet', async () => {
  await fixture.write('fleet.yaml', FLEET);
  await fixture.out(...apply());
  const specs = async () =>
    (await fixture.json<NodeView[]>('node', 'list')).map(({ name, spec }) => ({ name, spec }));
  const old = (await specs()).filter(({ name }) => name !== 'by-hand');
  await fixture.replace();
  assert.deepEqual(await specs(), []);
  await fixture.out(...apply());
  assert.deepEqual(await specs(), old);
});
