// `hardware-smoke` against a real BMC of IPMI 2.0, OpenIPMI's simulator, with the real ipmitool: boot
// device, power that is seen, serial over LAN as the console, and what becomes of it all at the end.

import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { billet } from '../../cli/testing.ts';
import { type IpmiBmc, startIpmi } from './ipmi-fixture.ts';
import { bootWhenOn, quickClock } from './watched.ts';

let dir = '';

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'billet-ipmi-'));
  writeFileSync(join(dir, 'password'), 'calvin-1\n', { mode: 0o600 });
});
afterEach(() => rmSync(dir, { recursive: true }));

async function smoke(verb: 'run' | 'preflight', bmc: IpmiBmc, ...flags: readonly string[]) {
  const target = [
    '--bmc',
    bmc.url,
    '--bmc-user',
    'operator',
    '--bmc-password',
    join(dir, 'password'),
  ];
  const words = ['--work', join(dir, 'work'), '--flow', 'iso-diskless', ...target, ...flags];
  const ran = await billet(['hardware-smoke', verb, ...words, '--json'], { clock: quickClock() });
  const told = ran.stderr.split('\n').find((line) => line.startsWith('{'));
  return { ...ran, error: JSON.parse(told ?? '{}') };
}

const latest = (name: string) =>
  readFileSync(join(dir, 'work/hardware-smoke/latest', name), 'utf8');

const boots = (bmc: IpmiBmc) => bootWhenOn(() => bmc.power() === 'on', bmc.say);

test('the machine boots once from the medium, and its console comes over the network', async () => {
  await using bmc = await startIpmi(dir);
  const [ran] = await Promise.all([smoke('run', bmc), boots(bmc)]);
  assert.equal(ran.code, 0, ran.stderr);
  assert.deepEqual([bmc.power(), bmc.bootDevice()], ['on', 'cdrom']);
  const result = JSON.parse(latest('result.json'));
  assert.deepEqual([result.outcome, result.transport, result.boots], ['passed', 'ipmi', 1]);
  assert.ok(latest('console.log').includes('\u001b[2J'), 'escape sequences are kept');
  // The BMC has one such console, and it is free again.
  writeFileSync(join(dir, 'power'), '0');
  const [again] = await Promise.all([smoke('run', bmc), boots(bmc)]);
  assert.equal(again.code, 0, again.stderr);
});

test('a machine that runs is not cut off unless that is asked for', async () => {
  await using bmc = await startIpmi(dir);
  writeFileSync(join(dir, 'power'), '1');
  const { code, error } = await smoke('run', bmc);
  assert.deepEqual([code, bmc.power(), bmc.bootDevice()], [6, 'on', 'default']);
  assert.match(error.hint, /--force-off/);
});

test('preflight asks for the power, changes nothing, and keeps no secret', async () => {
  await using bmc = await startIpmi(dir);
  const { code, stdout } = await smoke('preflight', bmc);
  assert.equal(code, 0);
  assert.match(stdout, /answers, power off/);
  assert.deepEqual([bmc.power(), bmc.bootDevice()], ['off', 'default']);
  for (const file of readdirSync(join(dir, 'work/hardware-smoke/latest')))
    assert.ok(!latest(file).includes('calvin'), file);
});

test('a wrong password is told as what it may be: ipmitool does not tell it from a BMC that is away', async () => {
  await using bmc = await startIpmi(dir);
  writeFileSync(join(dir, 'password'), 'wrong\n');
  const { error } = await smoke('preflight', bmc);
  assert.match(error.hint, /check user and password/);
});

test('a BMC that says "on" and does nothing is not believed', async () => {
  await using bmc = await startIpmi(dir, { lies: true });
  const { code, error } = await smoke('run', bmc);
  assert.equal(code, 1);
  assert.match(error.message, /the power is not on, 120 s after the BMC took it/);
  assert.equal(JSON.parse(latest('result.json')).outcome, 'failed');
});
