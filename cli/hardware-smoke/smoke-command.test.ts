import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  appendFileSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { systemClock } from '#shared/clock.ts';
import { failureLine, type Marker, markerLine } from '#shared/markers.ts';
import { billet } from '../testing.ts';
import { FLOWS } from './flows.ts';
import { PREFLIGHT_FILES } from './preflight.ts';
import { Result } from './result.ts';

let dir = '';

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'billet-smoke-'));
});
afterEach(() => rmSync(dir, { recursive: true }));

const smoke = (verb: string, ...flags: readonly string[]) =>
  billet(['hardware-smoke', verb, '--work', join(dir, 'work'), ...flags]);
const latest = (name: string) =>
  readFileSync(join(dir, 'work/hardware-smoke/latest', name), 'utf8');
const result = () => Result.parse(JSON.parse(latest('result.json')));

const NETBOOT = FLOWS.netboot.boots[0]?.stages.map(({ stage }) => stage) ?? [];
const console = (stages: readonly Marker[]) =>
  stages.map((stage) => `\u001b[0m${markerLine(stage)}\r\n`).join('');

function recorded(text: string): string {
  const file = join(dir, 'console');
  writeFileSync(file, text);
  return file;
}

test('preflight writes all that an operator needs, blocked or not, and latest is the newest', async () => {
  const { code, stderr } = await smoke('preflight', '--parameter', 'ip=dhcp');
  assert.equal(code, 6);
  assert.match(stderr, /^error: .*\nhint: .*--console.*\ncode: SMOKE_BLOCKED\n$/s);
  for (const name of PREFLIGHT_FILES) assert.notEqual(latest(name), '', name);
  assert.equal(latest('kernel-parameters'), 'console=tty0 console=ttyS0,115200 ip=dhcp\n');
  assert.equal(JSON.parse(latest('status.json')).status, 'blocked');
  assert.match(latest('expected-markers'), /^BILLET_MARKER ready\t/m);
  assert.match(latest('failure-markers'), /^BILLET_FAILURE <stage> code=SIGNATURE_INVALID\t/m);
  await smoke('preflight');
  const root = join(dir, 'work/hardware-smoke');
  const times = readdirSync(root).filter((name) => name !== 'latest');
  assert.deepEqual([times.length, readlinkSync(join(root, 'latest'))], [2, times.sort().at(-1)]);
});

test('with a console a person can do it: preflight is ready, and the hand-off names the console', async () => {
  const { code } = await smoke('preflight', '--console', '/dev/ttyUSB7', '--transport', 'manual');
  assert.equal(code, 0);
  assert.match(latest('handoff.md'), /capture --console \/dev\/ttyUSB7 --baud 115200/);
});

test('a token among kernel parameters is refused before anything is written', async () => {
  const { code, stderr } = await smoke('preflight', '--parameter', 'billet.token=x');
  assert.equal(code, 2);
  assert.match(stderr, /token does not go into kernel parameters/);
  assert.deepEqual(readdirSync(dir), []);
});

test('a recorded console is judged: passed, its bytes kept, and no token of it', async () => {
  const text = `Command line: billet.token=s3cret quiet\r\n${console(NETBOOT)}`;
  const file = recorded(text);
  const { code, stdout } = await smoke(
    'capture',
    '--console',
    file,
    '--no-follow',
    '--flow',
    'netboot',
  );
  assert.equal(code, 0);
  assert.match(stdout, /✓ ready/);
  for (const line of stdout.split('\n')) assert.ok(line.length <= 80, line);
  assert.deepEqual([result().outcome, result().bytes], ['passed', text.length]);
  assert.equal(latest('console.log'), text.replace('s3cret', 'REDACTED'));
});

test('a console that ends early has failed, and says what is still to come', async () => {
  const file = recorded(console(NETBOOT.slice(0, 4)));
  const { code, stderr } = await smoke(
    'capture',
    '--console',
    file,
    '--no-follow',
    '--flow',
    'netboot',
  );
  assert.equal(code, 1);
  assert.match(stderr, /the console ended before/);
  assert.equal(result().failures[0]?.code, 'CONSOLE_ENDED');
  assert.ok(result().missing.some(({ stage }) => stage === 'ready'));
});

test('a failure that no retry mends ends the wait, with its code and hint', async () => {
  const error = { code: 'SIGNATURE_INVALID', message: 'not signed so', hint: 'sign it' } as const;
  const file = recorded(`${console(NETBOOT.slice(0, 4))}${failureLine('mounted', error)}\n`);
  const { code, stderr } = await smoke(
    'capture',
    '--console',
    file,
    '--grace',
    '0.1',
    '--flow',
    'netboot',
  );
  assert.equal(code, 1);
  assert.match(stderr, /error: not signed so\nhint: sign it\n/);
});

test('a file is followed while it grows, from before it is there', async () => {
  const file = join(dir, 'later');
  const ran = smoke('capture', '--console', file, '--flow', 'netboot', '--json');
  const { signal } = new AbortController();
  for (const stage of NETBOOT) {
    await systemClock.sleep(20, signal);
    appendFileSync(file, `${markerLine(stage)}\n`);
  }
  const { code, stdout } = await ran;
  assert.equal(code, 0);
  const events = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  assert.equal(events.at(-1).event, 'result');
  assert.deepEqual(
    events.slice(0, -1).map(({ stage }) => stage),
    NETBOOT,
  );
});

test('nothing within the timeout is exit code 5, and no console at all 6', async () => {
  const silent = await smoke('capture', '--console', recorded(''), '--timeout', '0.1');
  assert.deepEqual([silent.code, result().outcome], [5, 'timeout']);
  const none = await smoke('capture', '--console', '/dev/ttyNONE');
  assert.deepEqual([none.code, result().outcome], [6, 'blocked']);
});

test('Ctrl-C leaves a result that says interrupted', async () => {
  const stop = new AbortController();
  const words = [
    'hardware-smoke',
    'capture',
    '--work',
    join(dir, 'work'),
    '--console',
    recorded(''),
  ];
  const ran = billet(words, { signal: stop.signal });
  await systemClock.sleep(150, new AbortController().signal);
  stop.abort();
  assert.equal((await ran).code, 130);
  assert.equal(result().outcome, 'interrupted');
});

test('what the command line says wrong is exit code 2, also where an attempt has begun', async () => {
  const console = ['--transport', 'manual', '--console', recorded('')];
  const { code } = await smoke('run', ...console, '--iso', join(dir, 'none.iso'));
  assert.deepEqual([code, result().why?.code], [2, 'ARGUMENT_INVALID']);
});

test('a medium that the BMC cannot fetch, or only with a login, is refused before anything is asked', async () => {
  writeFileSync(join(dir, 'password'), 'calvin\n', { mode: 0o600 });
  const login = ['--bmc-user', 'operator', '--bmc-password', join(dir, 'password')];
  const refused = async (...flags: readonly string[]) => {
    const { code, stderr } = await smoke('run', '--bmc', 'https://192.0.2.7', ...login, ...flags);
    assert.equal(code, 2);
    return stderr;
  };
  assert.match(await refused('--media-listen', '127.0.0.1:0'), /none is named\nhint: .*--iso/);
  assert.match(await refused('--media-listen', '8099', '--iso', 'x'), /cannot listen on 8099/);
  const secret = await refused('--media-url', 'https://me:s3cret@192.0.2.9/billet.iso');
  assert.match(secret, /password in --media-url is seen/);
  assert.doesNotMatch(secret, /s3cret/);
});

test('a pipe with a name is no console: it would be waited for without end', async () => {
  const pipe = join(dir, 'pipe');
  assert.equal(spawnSync('mkfifo', [pipe]).status, 0);
  const { code, stderr } = await smoke('capture', '--console', pipe);
  assert.equal(code, 6);
  assert.match(stderr, /hint: .*- for standard input/s);
});
