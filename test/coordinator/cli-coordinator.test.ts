// `billet` against a real coordinator in this process: every command of an operator, and what each
// prints. No machine is started.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { EXIT } from '../../cli/failure.ts';
import { billet } from '../../cli/testing.ts';
import { type Coordinator, startCoordinator } from '../../coordinator/main.ts';

let dir = '';
let coordinator: Coordinator;
let context = '';

const start = (listen: string) =>
  startCoordinator(
    { stateDir: join(dir, 'state'), listen, bootListen: null, stopSeconds: 1 },
    { log: { info: () => undefined, warn: () => undefined, error: () => undefined } as never },
  );

before(async () => {
  dir = await mkdtemp(join(tmpdir(), 'billet-cli-'));
  coordinator = await start('127.0.0.1:0');
  context = coordinator.adminContextPath;
});

after(async () => {
  await coordinator.stop();
  await rm(dir, { recursive: true });
});

const run = (...args: string[]) => billet(args, { env: { BILLET_CONTEXT: context } });

/** Runs a command that has to work; its lines fit 80 columns. */
async function lines(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await run(...args);
  assert.equal(code, 0, `${args.join(' ')}: ${stderr}`);
  // What is there to be copied (a digest, a command) stays in one piece.
  for (const line of stdout.split('\n'))
    assert.ok([...line].length <= 80 || /^Next: |\S{60}/.test(line), line);
  return stdout;
}

async function json(...args: string[]) {
  const { code, stdout, stderr } = await run(...args, '--json');
  assert.equal(code, 0, `${args.join(' ')}: ${stderr}`);
  return JSON.parse(stdout);
}

async function fails(exit: number, code: string, ...args: string[]): Promise<void> {
  const { code: ended, stdout, stderr } = await run(...args);
  assert.equal(ended, exit, `${args.join(' ')}: ${stdout}${stderr}`);
  assert.match(stderr, new RegExp(`^error: .+\\nhint: .+\\ncode: ${code}\\n$`, 's'));
}

/** A sealed module of one small file, in the coordinator's registry as `name:1.0.0`. */
async function pushModule(name: string): Promise<void> {
  const folder = join(dir, name);
  await lines(
    'module',
    'init',
    folder,
    '--name',
    name,
    '--kind',
    'system',
    '--module-version',
    '1.0.0',
  );
  await writeFile(join(folder, 'motd'), `hello from ${name}\n`);
  const tar = join(folder, 'files.tar');
  execFileSync('tar', ['-C', folder, '-cf', tar, 'motd']);
  const layout = `oci:${join(folder, 'image')}:1.0.0`;
  const file = join(folder, 'module.json');
  assert.equal(
    (await run('module', 'pack', '--layer', tar, '--module', file, '-o', layout)).code,
    0,
  );
  const pushed = await run('module', 'push', layout, `${name}:1.0.0`);
  assert.equal(pushed.code, 0, pushed.stderr);
}

async function pushBootImage(): Promise<void> {
  const folder = join(dir, 'boot');
  execFileSync('mkdir', ['-p', folder]);
  await writeFile(join(folder, 'kernel'), 'a kernel');
  await writeFile(join(folder, 'initramfs'), 'x'.repeat(100_000));
  await writeFile(join(folder, 'release'), '6.12.0-test\n');
  assert.match(await lines('image', 'push', folder, 'boot:1'), /6\.12\.0-test/);
}

test('an operator takes a node from nothing to an instance, and back', async () => {
  assert.match(await lines('status'), /instances +none/);
  await pushModule('base');
  await pushBootImage();
  await fails(EXIT.notFound, 'NOT_FOUND', 'node', 'create', 'web-1', '--module', 'base:next');

  const made = await lines(
    ...['node', 'create', 'web-1', '--module', 'base:1.0.0', '--boot-image', 'boot:1'],
    ...['--mac', '52:54:00:00:00:01', '--label', 'rack=b7'],
  );
  assert.match(made, /web-1 is at generation 1\nNext: billet instance create web-1\n/);
  const [node] = await json('node', 'list');
  assert.deepEqual(node.spec.labels, { rack: 'b7' });
  assert.equal(node.spec.modules[0].name, 'base');
  assert.equal(node.spec.bootImage.kernelRelease, '6.12.0-test');
  assert.match(
    await lines('node', 'list'),
    /^NODE +GEN +INSTANCE +MODULES +AGE\nweb-1 +1 +- +base /,
  );

  assert.match(await lines('node', 'set', 'web-1', '--label', 'rack=c1'), /generation \d+/);
  assert.match(await lines('node', 'show', 'web-1'), /label +rack=c1/);
  await fails(EXIT.notFound, 'NOT_FOUND', 'instance', 'show', 'web-1');

  await lines('instance', 'create', 'web-1');
  const [instance] = await json('instance', 'list', '--node', 'web-1');
  assert.match(
    await lines('instance', 'list'),
    new RegExp(`^INSTANCE .*\\n${instance.id}  web-1 `),
  );
  assert.match(
    await lines('instance', 'show', 'web-1'),
    /boot +the next network boot gets a token/,
  );
  assert.match(await lines('instance', 'boot', 'web-1'), /gets a token/);
  await fails(EXIT.failed, 'CONFLICT', 'node', 'delete', 'web-1');

  assert.match(await lines('instance', 'terminate', 'web-1'), /is terminat/);
  await fails(EXIT.notFound, 'NOT_FOUND', 'certificate', 'revoke', 'abc123');
});

test('a token is shown once, listed without its secret, and revoked', async () => {
  await lines('node', 'create', 'tok-1');
  await lines('instance', 'create', 'tok-1');
  const text = await lines('token', 'create', 'tok-1', '--ttl', '600');
  const secret = /^billet\.token=(\S{43})$/m.exec(text)?.[1] ?? '';
  assert.equal(secret.length, 43);
  assert.match(text, new RegExp(`^billet\\.ca=${coordinator.caFingerprint}$`, 'm'));
  const listed = await lines('token', 'list', '--instance', 'tok-1');
  assert.ok(!listed.includes(secret));
  const id = /^(k-\S+) .* open /m.exec(listed)?.[1] ?? '';
  assert.match(await lines('token', 'revoke', id), /is revoked/);
  await fails(EXIT.usage, 'ARGUMENT_INVALID', 'token', 'create', 'tok-1', '--ttl', '5');
});

test('a task is created once per key, shown, listed and taken back', async () => {
  await lines('node', 'create', 'task-1');
  await lines('instance', 'create', 'task-1');
  const create = ['task', 'create', 'reboot', 'task-1', '--key', 'once', '--reason', 'x'];
  const task = await json(...create);
  assert.equal((await json(...create)).id, task.id);
  assert.match(await lines('task', 'list', '--instance', 'task-1'), / reboot +pending +0\/3 /);
  assert.match(await lines('task', 'show', task.id), /kind +reboot/);
  const waited = await run('task', 'create', 'reboot', 'task-1', '--wait', '--timeout', '0.1');
  assert.equal(waited.code, EXIT.unreachable);
  assert.match(waited.stderr, /code: TIMEOUT/);
  assert.match(await lines('task', 'cancel', task.id), /is cancelled/);
});

test('a credential works from its own file, with its own role', async () => {
  const file = join(dir, 'viewer.json');
  await lines('credential', 'create', 'eve', '--role', 'viewer', '--write', file);
  assert.equal((await stat(file)).mode & 0o777, 0o600);
  const { credential } = JSON.parse(await readFile(file, 'utf8'));
  assert.ok(!(await lines('credential', 'list')).includes(credential));
  await lines('status', '--context', file);
  await fails(EXIT.refused, 'FORBIDDEN', 'node', 'create', 'no', '--context', file);
  await fails(
    EXIT.usage,
    'ARGUMENT_INVALID',
    'credential',
    'create',
    'eve2',
    '--role',
    'viewer',
    '--write',
    file,
  );
  await lines('credential', 'delete', 'eve');
  await fails(EXIT.refused, 'UNAUTHENTICATED', 'status', '--context', file);
});

test('another CA than the one of the context is not talked to', async () => {
  const other = join(dir, 'other.json');
  const text = JSON.parse(await readFile(context, 'utf8'));
  const ca = execFileSync(
    'openssl',
    ['req', '-x509', '-newkey', 'ed25519', '-nodes', '-keyout', '/dev/null', '-subj', '/CN=other'],
    { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] },
  );
  await writeFile(other, JSON.stringify({ ...text, ca }), { mode: 0o600 });
  await fails(EXIT.unreachable, 'LINK_DOWN', 'status', '--context', other);
});

test('events are followed across a restart of the coordinator, without gap or repetition', async () => {
  const stop = new AbortController();
  const seen: number[] = [];
  const chunks: string[] = [];
  const stdout = {
    write(text: string) {
      chunks.push(text);
      return true;
    },
  } as unknown as NodeJS.WritableStream;
  const options = { env: { BILLET_CONTEXT: context }, signal: stop.signal, stdout };
  const following = billet(['events', '--follow', '--json'], options);
  const until = async (kind: string, subject: string) => {
    const deadline = AbortSignal.timeout(30_000);
    const found = () => chunks.some((line) => line.includes(kind) && line.includes(subject));
    while (!found() && !deadline.aborted) await new Promise((done) => setTimeout(done, 50));
    assert.ok(found(), `${kind} ${subject}`);
  };
  await lines('node', 'create', 'before');
  await until('node.created', 'node/before');
  const port = String(coordinator.port);
  await coordinator.stop();
  coordinator = await start(`127.0.0.1:${port}`);
  await lines('node', 'create', 'later');
  await until('node.created', 'node/later');
  stop.abort();
  assert.equal((await following).code, EXIT.interrupted);
  for (const line of chunks) seen.push(JSON.parse(line).revision);
  assert.deepEqual(
    seen,
    [...seen].sort((a, b) => a - b),
  );
  assert.equal(chunks.length, new Set(chunks).size);
  const all = (await run('events', '--json')).stdout.trim().split('\n');
  assert.deepEqual(
    chunks.map((line) => line.trim()),
    all,
  );
});
