import assert from 'node:assert/strict';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { CODES } from '#shared/error-codes.ts';
import { EXIT, reportFailure } from './failure.ts';
import { COMMANDS } from './table.ts';
import { billet } from './testing.ts';

const NOWHERE = 'https://127.0.0.1:1';

test('help names every command, fits 80 columns, and is no failure', async () => {
  const { code, stdout, stderr } = await billet(['--help']);
  assert.equal(code, 0);
  assert.equal(stderr, '');
  for (const { name, summary } of COMMANDS) {
    assert.match(stdout, new RegExp(`^  ${name} `, 'm'));
    assert.ok(summary.length <= 66, summary);
  }
  assertFits(stdout);
});

test('every command and subcommand has help with examples that fit 80 columns', async () => {
  const paths = await commandPaths();
  assert.ok(paths.length > 20);
  for (const path of paths) {
    const { code, stdout } = await billet([...path, '--help']);
    assert.equal(code, 0, path.join(' '));
    assertFits(stdout);
    if (!/^Commands:$/m.test(stdout)) assert.match(stdout, /^Examples:$/m, path.join(' '));
  }
});

test('a wrong option is exit code 2, one sentence and the nearest option', async () => {
  const { code, stdout, stderr } = await billet(['node', 'list', '--jsn']);
  assert.equal(code, EXIT.usage);
  assert.equal(stdout, '');
  assert.equal(
    stderr,
    "error: unknown option '--jsn'\nhint: Did you mean --json?\ncode: ARGUMENT_INVALID\n",
  );
});

test('a wrong command, a missing argument and a bad value are exit code 2 as well', async () => {
  for (const args of [
    ['nod', 'list'],
    ['node', 'lst'],
    ['node', 'show'],
    ['node', 'show', 'NOT_A_NAME'],
    ['node', 'create', 'web-1', 'web-2'],
    ['credential', 'create', 'ci'],
    ['certificate', 'revoke', 'xyz'],
    ['task', 'create', 'run-probe', 'web-1'],
    ['task', 'create', 'reboot', 'web-1', '--attempts', '11'],
    ['task', 'create', 'reboot', 'web-1', '--timeout', 'soon'],
    ['task', 'show', 'web-1'],
    ['image', 'push', '.', 'UPPER:tag'],
  ]) {
    const { code, stderr } = await billet(args, await contextFor(NOWHERE));
    assert.equal(code, EXIT.usage, `${args.join(' ')}: ${stderr}`);
    assert.match(stderr, /^error: .+\nhint: .+\ncode: ARGUMENT_INVALID\n$/, args.join(' '));
  }
});

test('no command at all shows the help and is a usage error', async () => {
  for (const args of [[], ['instance']]) {
    const { code, stdout, stderr } = await billet(args);
    assert.equal(code, EXIT.usage);
    assert.equal(stdout, '');
    assert.match(stderr, /^Usage: billet/);
    assert.match(stderr, /^error: a command is missing\nhint: .+\ncode: ARGUMENT_INVALID\n$/m);
  }
});

test('with --json an error is JSON on stderr', async () => {
  const { code, stderr } = await billet(['status', '--json'], await contextFor(NOWHERE));
  assert.equal(code, EXIT.unreachable);
  const { code: name, hint } = JSON.parse(stderr);
  assert.equal(name, 'LINK_DOWN');
  assert.match(hint, /healthz/);
});

test('without a context the hint says where one comes from', async () => {
  const { code, stderr } = await billet(['status', '--context', '/nonexistent/context.json']);
  assert.equal(code, EXIT.usage);
  assert.match(stderr, /cannot read the context \/nonexistent\/context\.json/);
});

test('a context that is no JSON, or has an unknown field, is named without its secret', async () => {
  const secret = 'very-secret';
  for (const text of [
    `{"url":"${NOWHERE}","credential":"${secret}`,
    JSON.stringify({ url: 'http://x', ca: 'x', credential: secret, extra: 1 }),
  ]) {
    const { code, stderr } = await billet(['status'], await contextOf(text));
    assert.equal(code, EXIT.failed);
    assert.match(stderr, /^error: the context .* is not valid/);
    assert.doesNotMatch(stderr, new RegExp(secret));
  }
});

test('a context that others can read is warned about', async () => {
  const options = await contextFor(NOWHERE);
  await chmod(options.env.BILLET_CONTEXT, 0o644);
  const { stderr } = await billet(['status'], options);
  assert.match(stderr, /^warning: others can read the credential in .*: chmod 600/);
});

test('an exit code belongs to codes that exist, and a defect says how to report it', () => {
  const written: string[] = [];
  const stderr = { write: (text: string) => written.push(text) > 0 };
  const io = { stderr, env: {}, colour: false, signal: new AbortController().signal };
  assert.equal(reportFailure(new TypeError('x is no y'), io as never, false), EXIT.failed);
  assert.match(written.join(''), /^error: x is no y\nhint: this is a defect.*\ncode: INTERNAL\n$/);
  assert.ok('LINK_DOWN' in CODES);
});

const folders: string[] = [];
test.after(() => Promise.all(folders.map((folder) => rm(folder, { recursive: true }))));

async function contextOf(text: string) {
  const folder = await mkdtemp(join(tmpdir(), 'billet-cli-'));
  folders.push(folder);
  const file = join(folder, 'context.json');
  await writeFile(file, text, { mode: 0o600 });
  return { env: { BILLET_CONTEXT: file } };
}

const contextFor = (url: string) =>
  contextOf(JSON.stringify({ url, ca: '-----BEGIN CERTIFICATE-----\n', credential: 'x' }));

function assertFits(text: string): void {
  for (const line of text.split('\n')) assert.ok(line.length <= 80, `${line.length}: ${line}`);
}

/** All paths of commands, found by reading the help of each. */
async function commandPaths(): Promise<string[][]> {
  const found: string[][] = [];
  const queue: string[][] = COMMANDS.map(({ name }) => [name]);
  for (let path = queue.shift(); path !== undefined; path = queue.shift()) {
    found.push(path);
    const { stdout } = await billet([...path, '--help']);
    const section = /^Commands:\n((?: {2}.*\n?)+)/m.exec(stdout)?.[1] ?? '';
    for (const [, name = ''] of section.matchAll(/^ {2}([a-z][a-z-]*)/gm))
      if (name !== 'help') queue.push([...path, name]);
  }
  return found;
}
