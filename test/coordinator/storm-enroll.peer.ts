// A thousand nodes enroll at once behind one address, among them a hundred with wrong tokens: all get
// their certificates, nobody is locked out by the failures of others, and those are slowed.

import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { ensureEnrolled } from '../../agent/identity/ensure-enrolled.ts';
import { backoffMs } from '../../agent/link/backoff.ts';
import { systemClock } from '../../shared/clock.ts';
import { BilletError } from '../../shared/errors.ts';
import { routes } from '../../shared/routes/table.ts';
import { Identity } from '../../shared/schema/identity.ts';
import { bodyOf, FACTS, type Fixture, startFixture } from './coordinator-fixture.ts';

const NODES = 1_000;
const WRONG = 100;
/** As many as wait for one another nowhere but at the coordinator. */
const OPERATORS = 16;
const NEVER = new AbortController().signal;
const BACKOFF = { baseMs: 500, capMs: 10_000 };

let fixture: Fixture;
let scratch: string;
before(async () => {
  fixture = await startFixture();
  scratch = await mkdtemp(join(tmpdir(), 'billet-storm-'));
});
after(async () => {
  await fixture.close();
  await rm(scratch, { recursive: true });
});

async function inParallel<T>(count: number, width: number, work: (n: number) => Promise<T>) {
  const results: T[] = [];
  let next = 0;
  const worker = async () => {
    for (let n = next++; n < count; n = next++) results[n] = await work(n);
  };
  await Promise.all(Array.from({ length: width }, worker));
  return results;
}

interface End {
  readonly attempts: number;
  /** Codes of the answers before the last, and of the last one when it failed. */
  readonly refusals: readonly string[];
  readonly afterMs: number;
}

/** As the boot's stage does: again with jitter after what may pass, until it is enrolled. */
async function boot(identity: Identity, n: number, attemptsMax: number): Promise<End> {
  const since = systemClock.monotonic();
  const refusals: string[] = [];
  const dir = join(scratch, String(n));
  for (let attempt = 0; attempt < attemptsMax; attempt += 1)
    try {
      await ensureEnrolled({ identity, facts: FACTS, dir, clock: systemClock }, NEVER);
      return { attempts: attempt + 1, refusals, afterMs: systemClock.monotonic() - since };
    } catch (error) {
      if (!(error instanceof BilletError)) throw error;
      refusals.push(error.code);
      await systemClock.sleep(backoffMs(attempt, Math.random(), BACKOFF), NEVER);
    }
  return { attempts: attemptsMax, refusals, afterMs: systemClock.monotonic() - since };
}

test('1,000 nodes behind one address enroll at once, beside 100 that cannot', {
  timeout: 300_000,
}, async (t) => {
  const { admin } = fixture;
  const identities = await inParallel(NODES, OPERATORS, async (n) => {
    const instance = await fixture.instance(`storm-${n}`);
    const made = bodyOf(await admin.call(routes.createToken, { body: { instance } }));
    return Identity.parse({
      coordinator: fixture.coordinator.url,
      ca: made.ca,
      instance,
      token: made.secret,
    });
  });
  const wrong = identities
    .slice(0, WRONG)
    .map((one, n) => ({ ...one, token: `${n}`.padStart(43, 'x') }) as Identity);

  const since = systemClock.monotonic();
  const [ends, refused] = await Promise.all([
    Promise.all(identities.map((identity, n) => boot(identity, n, 10))),
    Promise.all(wrong.map((identity, n) => boot(identity, NODES + n, 3))),
  ]);
  const seconds = (systemClock.monotonic() - since) / 1000;
  const attempts = ends.reduce((sum, end) => sum + end.attempts, 0);
  t.diagnostic(
    `${NODES} enrolled in ${seconds.toFixed(1)} s: ${(NODES / seconds).toFixed(0)} a second, ${attempts} attempts`,
  );
  assert.ok(seconds < 150, `${seconds} s`);

  const codes = ends.flatMap(({ refusals }) => refusals);
  t.diagnostic(`tried again after: ${[...new Set(codes)].join(', ') || 'nothing'}`);
  assert.ok(!codes.some((code) => /TOO_MANY|TOKEN/.test(code)), `valid ones: ${new Set(codes)}`);
  const bad = refused.flatMap(({ refusals }) => refusals);
  const slowed = bad.filter((code) => code === 'TOO_MANY_REQUESTS').length;
  const told = bad.filter((code) => code === 'TOKEN_INVALID').length;
  t.diagnostic(`wrong tokens: ${told} were told so, ${slowed} were slowed`);
  assert.equal(told + slowed + bad.filter((code) => code === 'LINK_DOWN').length, bad.length);
  // 20 at once and one every 3 s.
  assert.ok(told <= 20 + seconds / 3 + 2 && slowed > bad.length / 2, `${told} ${slowed}`);

  const certified = new Set<string>();
  let page: string | undefined;
  do {
    const query = { limit: 1000, ...(page === undefined ? {} : { after: page }) };
    const { items, next } = bodyOf(await admin.call(routes.listInstances, { query }));
    for (const { certificate } of items) if (certificate) certified.add(certificate.serial);
    page = next ?? undefined;
  } while (page !== undefined);
  assert.equal(certified.size, NODES, 'each has its own certificate');
});
