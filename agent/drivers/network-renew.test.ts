import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { systemClock } from '#shared/clock.ts';
import type { Exec } from './exec.ts';
import { keepLeases } from './network-renew.ts';

const EXIT = { stdout: '', stderr: 'no lease, failing\n' };

/** A machine with a lease of `seconds` on eth0, and a server that says `answers` to each question. */
async function machine(t: TestContext, answers: readonly (string | null)[], seconds = 3600) {
  const root = await mkdtemp(join(tmpdir(), 'billet-lease-'));
  t.after(() => rm(root, { recursive: true }));
  const path = join(root, 'run/udhcpc/eth0.4');
  await mkdir(join(root, 'run/udhcpc'), { recursive: true });
  await writeFile(path, `ip=192.0.2.100\nmask=24\nlease=${seconds}\n`);
  const [pauses, warnings]: [number[], string[]] = [[], []];
  const asked: string[] = [];
  const end = new AbortController();
  const exec: Exec = async (argv) => {
    asked.push(argv.join(' '));
    const answer = answers[asked.length - 1] ?? null;
    if (answer === null) return { ...EXIT, code: 1 };
    await writeFile(path, answer);
    return { ...EXIT, code: 0 };
  };
  const pause = async (ms: number) => {
    pauses.push(ms / 1000);
    if (pauses.length > 6) end.abort();
    end.signal.throwIfAborted();
  };
  const warn = (error: Error) => warnings.push(error.message);
  const deps = { ...{ exec, clock: systemClock, root, pause, warn } };
  const ended = keepLeases(deps, end.signal);
  return { ended, pauses, asked, warnings, isAborted: () => end.signal.aborted };
}

test('a lease is asked for again at half of its time, under the same address', async (t) => {
  const again = 'ip=192.0.2.100\nmask=24\nlease=600\n';
  const { ended, pauses, asked, isAborted } = await machine(t, [
    again,
    again,
    again,
    again,
    again,
    again,
  ]);
  await ended;
  assert.ok(isAborted(), 'it goes on until the boot is done');
  assert.deepEqual(pauses.slice(0, 3), [1800, 300, 300]);
  assert.match(asked[0] ?? '', /^udhcpc -i eth0 .*-r 192\.0\.2\.100 -s /);
});

test('a server that is silent is asked again in half of what is left, and then given up, with a word', async (t) => {
  const { ended, pauses, warnings } = await machine(t, []);
  await ended;
  assert.deepEqual(pauses, [1800, 900, 450, 225]);
  assert.equal(warnings.length, 4);
});

test('an address that somebody else was given is named; a lease for good is left alone', async (t) => {
  const other = await machine(t, ['ip=192.0.2.101\nmask=24\nlease=600\n']);
  await other.ended;
  assert.match(other.warnings[0] ?? '', /192\.0\.2\.100 of eth0 is not given again/);
  const good = await machine(t, ['ip=192.0.2.100\nmask=24\nlease=4294967295\n']);
  await good.ended;
  assert.deepEqual(good.pauses, [1800]);
});

test('a lease of months is not asked for again and again: no pause is longer than a timer holds', async (t) => {
  const { ended, pauses } = await machine(t, [], 365 * 24 * 3600);
  await ended;
  assert.deepEqual(pauses, [86_400, 86_400, 86_400, 86_400]);
});
