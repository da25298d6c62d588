import assert from 'node:assert/strict';
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
