// Time servers in a boot: a clock, a coordinator and servers that are played. The rest of the boot's clock is
// in test/certificates/clock.peer.ts.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Clock } from '#shared/clock.ts';
import { BilletError } from '#shared/errors.ts';
import { SourceIdentity } from '#shared/schema/identity.ts';
import { bootClock } from './boot-clock.ts';

const DAY_MS = 24 * 3_600_000;
const BUILT = Date.UTC(2026, 10, 20);
const TODAY = BUILT + 30 * DAY_MS;
const never = new AbortController().signal;
const source = SourceIdentity.parse({
  coordinator: 'https://127.0.0.1:1',
  ca: `sha256:${'a'.repeat(64)}`,
});

interface World {
  readonly starts: number;
  /** What time servers say; an error is thrown. Null: there are none. */
  readonly ntp: number | BilletError | null;
  /** What a coordinator that proves itself says; null: it is away. */
  readonly coordinator: number | null;
}

function machine({ starts, ntp, coordinator }: World) {
  let now = starts;
  const said: string[] = [];
  const clock: Clock = { now: () => now, monotonic: () => now, sleep: async () => undefined };
  const attempt = bootClock({
    clock,
    log: {
      marker: (stage, fields) => said.push(`${stage} ${fields?.by}`),
      failure: (stage, error) => said.push(`${stage} ${error}`),
    },
    setClock: async (unixMs) => {
      now = unixMs;
    },
    builtAt: async () => BUILT,
    kept: async () => null,
    async ask() {
      if (coordinator === null) throw new BilletError('LINK_DOWN', 'away', { hint: 'none' });
      return { notBefore: BUILT - 10 * DAY_MS, now: coordinator };
    },
    async ntp(refuses) {
      if (ntp instanceof BilletError) throw ntp;
      if (ntp === null) return null;
      const why = refuses(ntp);
      if (why === null) return { server: '192.0.2.123', unixMs: ntp };
      throw new BilletError('NTP_FAILED', why, { hint: 'none' });
    },
  });
  return { attempt: () => attempt(source, never), now: () => now, said };
}

test('a clock without a battery is right before certificates are judged', async () => {
  const { attempt, now, said } = machine({ starts: 0, ntp: TODAY, coordinator: null });
  await attempt();
  assert.deepEqual([now(), said], [TODAY, ['clock boot-image', 'clock ntp']]);
  await attempt();
  assert.equal(said.length, 2, 'it is asked once');
});

test('without time servers the machine stands at the build of its image', async () => {
  const { attempt, now, said } = machine({ starts: 0, ntp: null, coordinator: null });
  await attempt();
  assert.deepEqual([now(), said], [BUILT, ['clock boot-image']]);
});

test('a server that lies backwards moves nothing, and is named; likewise one that is silent', async () => {
  for (const ntp of [
    BUILT - DAY_MS,
    new BilletError('NTP_FAILED', 'no answer', { hint: 'none' }),
  ]) {
    const { attempt, now, said } = machine({ starts: TODAY, ntp, coordinator: null });
    await attempt();
    assert.equal(now(), TODAY);
    assert.match(said.join(), /^clock BilletError/);
  }
});

test('a server that lies forwards is overruled by the coordinator, as soon as it answers', async () => {
  const lie = TODAY + 3650 * DAY_MS;
  const { attempt, now, said } = machine({ starts: TODAY, ntp: lie, coordinator: TODAY });
  await attempt();
  assert.deepEqual([now(), said], [TODAY, ['clock ntp', 'clock coordinator']]);

  const alone = machine({ starts: TODAY, ntp: lie, coordinator: null });
  await alone.attempt();
  assert.equal(alone.now(), lie, 'nobody else has a word');

  // The coordinator's word counts for what the time server did only: the battery's time is left alone.
  const ahead = machine({ starts: TODAY, ntp: TODAY + 20 * DAY_MS, coordinator: BUILT });
  await ahead.attempt();
  assert.equal(ahead.now(), TODAY);
});

test('a clock that is ahead by itself is never set back', async () => {
  const ahead = TODAY + 400 * DAY_MS;
  const { attempt, now, said } = machine({ starts: ahead, ntp: TODAY, coordinator: TODAY });
  await attempt();
  await attempt();
  assert.equal(now(), ahead);
  assert.match(said[0] ?? '', /never set back/);
});
