// The coordinator killed at each commit of whole conversations, started again over what was on disk,
// and spoken to again by those whose answers got lost: at the end it is as if nothing had happened.

import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import type { Write } from '../../coordinator/store/store.ts';
import { BilletError } from '../../shared/errors.ts';
import { converse, type Told } from './coordinator-kill-conversation.ts';
import { type Host, type HostOptions, localHost, processHost } from './coordinator-kill-host.ts';
import { difference, type Inspected, inspect } from './coordinator-kill-inspect.ts';
import type { Kill, Side } from './coordinator-kill-store.ts';

interface Outcome extends Told, Inspected {
  readonly deaths: number;
}

/** Throws where a promise is broken on the way: what was acknowledged, and what fits together. */
async function scenario(
  make: (options: HostOptions) => Promise<Host>,
  options: HostOptions,
): Promise<Outcome> {
  const host = await make(options);
  try {
    await host.start();
    const watched: Host = {
      ...host,
      async revive() {
        const dead = await host.dead();
        const { revision } = await inspect(dead);
        assert.ok(revision >= host.acknowledged(), `lost: ${revision} of ${host.acknowledged()}`);
        await host.revive();
      },
    };
    const told = await converse(watched);
    await host.stop();
    return { ...told, ...(await inspect(host.stateDir())), deaths: host.deaths() };
  } finally {
    await host.stop();
    await host.remove();
  }
}

/** What a person's second try may leave beside the first, whose answer was lost. Else: nothing. */
const LEFT: Readonly<Record<string, readonly RegExp[]>> = {
  // Nobody has the secret of the first one: it opens nothing, and runs out.
  token: [/^token \[false,/, /^event \["token.created"/],
  // The certificate before stays valid to its end, so that a lost reply strands no node.
  'certificate renewal': [/^certificates\/ /, /^event \["instance.renewed"/, /^revocation /],
  // Its secret was in the lost answer: deleted and made again.
  credential: [/^event \["credential\.(?:created|deleted)"/],
};

function assertSame(base: Outcome, found: Outcome, what: string): void {
  const { extra, missing } = difference(base.lines, found.lines);
  const left = found.interrupted.flatMap((step) => LEFT[step] ?? []);
  const wrong = extra.filter((line) => !left.some((one) => one.test(line)));
  assert.deepEqual({ wrong, missing }, { wrong: [], missing: [] }, `${what}, ${found.interrupted}`);
  const [first, again] = found.certificates;
  assert.equal(first, again, `${what}: one token and one key get one certificate`);
}

const NEVER: Kill = { at: 0, side: 'before' };
let base: Outcome;
let commits: number;
before(async () => {
  base = await scenario(localHost, { kill: NEVER });
  commits = base.revision;
});

test('without a death the conversation leaves the same each time', async () => {
  const again = await scenario(localHost, { kill: NEVER });
  assert.deepEqual(again.lines, base.lines);
  assert.ok(commits >= 25, `${commits} commits`);
});

for (const side of ['before', 'after'] as const)
  test(`killed ${side} each commit, a coordinator and those who speak to it end as without it`, {
    timeout: 180_000,
  }, async (t) => {
    const interrupted = new Set<string>();
    for (let at = 1; at <= commits; at += 1) {
      const found = await scenario(localHost, { kill: { at, side } });
      assert.equal(found.deaths, 1, `commit ${at}`);
      assertSame(base, found, `${side} commit ${at}`);
      for (const step of found.interrupted) interrupted.add(step);
    }
    t.diagnostic(`${commits} deaths, in: ${[...interrupted].join(', ')}`);
  });

test('so it is with a process that gets SIGKILL', { timeout: 180_000 }, async () => {
  for (const [at, side] of sample()) {
    const found = await scenario(processHost, { kill: { at, side } });
    assert.equal(found.deaths, 1);
    assertSame(base, found, `SIGKILL ${side} commit ${at}`);
  }
});

/** The first commit, and those of an enrollment, of two leases. */
const sample = (): [number, Side][] =>
  [1, 6, 12, 18].map((at, n) => [at, n % 2 === 0 ? 'after' : 'before']);

/** True when some kill makes the scenario fail. */
async function isNoticed(options: Omit<HostOptions, 'kill'>, side: Side): Promise<boolean> {
  for (let at = 1; at <= commits; at += 1)
    try {
      assertSame(base, await scenario(localHost, { ...options, kill: { at, side } }), `at ${at}`);
    } catch (error) {
      if (error instanceof assert.AssertionError || error instanceof BilletError) return true;
      throw error;
    }
  return false;
}

const puts = (prefix: string, text: RegExp) => (write: Write) =>
  write.kind === 'put' && write.key.startsWith(prefix) && text.test(write.value);

test('without the record of an idempotency key, a kill makes a task twice', async () => {
  const mutation = { kind: 'forgets', write: puts('task-keys/', /./) } as const;
  const forgetful = await scenario(localHost, { kill: NEVER, mutation });
  const without = difference(base.lines, forgetful.lines);
  assert.ok(
    without.missing.every((line) => line.startsWith('task-keys/')) && !without.extra.length,
  );
  const own = base;
  base = forgetful;
  assert.ok(await isNoticed({ mutation }, 'after'));
  base = own;
});

test('without the record that a token was used, a kill makes another certificate', async () => {
  const mutation = { kind: 'forgets', write: puts('tokens/', /"used":\{/) } as const;
  assert.ok(await isNoticed({ mutation }, 'after'));
});

test('half a commit is noticed, and so is an answer before its commit', async () => {
  assert.ok(await isNoticed({ mutation: { kind: 'half' } }, 'before'));
  assert.ok(await isNoticed({ mutation: { kind: 'early' } }, 'before'));
});
