// The agent dies between any two journal entries, and before any operation on the node: the next one
// ends where an agent that never died ends.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { testNode } from './testing.ts';
import { type ScenarioName, scenario, settle, stopAt } from './testing-crash.ts';

const NAMES = ['update', 'reattach'] satisfies ScenarioName[];
const CHILD = new URL('./crash-child.ts', import.meta.url).pathname;
/** Hundreds of syncs: on tmpfs they cost nothing, and SIGKILL loses nothing that was written. */
const TEMPORARY = existsSync('/dev/shm') ? '/dev/shm' : tmpdir();
const BLANK = /\/[^"\s]*\/billet-crash-[^/]+\/[^/]+\//g;

let root: string;
before(async () => {
  root = await mkdtemp(join(TEMPORARY, 'billet-crash-'));
});
after(() => rm(root, { recursive: true, force: true }));

/** Without the directory's own name in the units. */
async function snapshot(dir: string): Promise<unknown> {
  const found = await testNode(dir, scenario('update').modules).snapshot();
  return JSON.parse(JSON.stringify(found).replaceAll(BLANK, '/'));
}

interface Prepared {
  readonly dir: string;
  /** What an agent ends with that does not die, and the points it passes on its way. */
  readonly expected: unknown;
  readonly points: readonly string[];
}

const prepared = new Map<ScenarioName, Prepared>();

async function prepare(name: ScenarioName): Promise<Prepared> {
  const known = prepared.get(name);
  if (known) return known;
  const chosen = scenario(name);
  const dir = join(root, name);
  await settle(dir, chosen, chosen.before);
  const points: string[] = [];
  const expected = await copied(dir, `${name}-whole`, async (whole) => {
    await settle(whole, chosen, chosen.after, async (what) => void points.push(what));
    return await snapshot(whole);
  });
  assert.notDeepEqual(expected, await snapshot(dir));
  const made = { dir, expected, points };
  prepared.set(name, made);
  return made;
}

async function copied<T>(from: string, name: string, use: (dir: string) => Promise<T>): Promise<T> {
  const dir = join(root, name);
  await cp(from, dir, { recursive: true });
  try {
    return await use(dir);
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

for (const name of NAMES)
  test(`a process killed (SIGKILL) after any entry of the journal of ${name} is made good by the next`, async () => {
    const { dir, expected, points } = await prepare(name);
    const entries = points.filter((what) => what.startsWith('after ')).length;
    assert.ok(entries >= 4, `${entries} entries`);
    const left = Array.from({ length: entries }, (_, index) => index + 1);
    const lane = async () => {
      for (let at = left.shift(); at !== undefined; at = left.shift())
        await copied(dir, `${name}-kill-${at}`, async (own) => {
          const dying = spawn(process.execPath, [CHILD, own, name, String(at)], {
            stdio: 'inherit',
          });
          const [, signal] = await once(dying, 'exit');
          assert.equal(signal, 'SIGKILL', `entry ${at}`);
          await settle(own, scenario(name), scenario(name).after);
          assert.deepEqual(await snapshot(own), expected, `killed after entry ${at} of ${entries}`);
        });
    };
    await Promise.all([lane(), lane()]);
  });

for (const name of NAMES)
  test(`an agent that stops for ever before any operation of ${name} is made good by the next`, async () => {
    const { dir, expected, points } = await prepare(name);
    for (const [at, what] of points.entries())
      await copied(dir, `${name}-stop-${at}`, async (own) => {
        await stopAt(own, scenario(name), at);
        await settle(own, scenario(name), scenario(name).after);
        assert.deepEqual(await snapshot(own), expected, `stopped at ${at}, ${what}`);
      });
  });
