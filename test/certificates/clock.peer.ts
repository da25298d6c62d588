// Machines whose clocks are wrong, for real: libfaketime under a process that enrolls over TLS. An hour
// ahead and behind is no matter; a machine without a clock sets its own, and fails without that.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { globSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { after, before, test } from 'node:test';
import { systemClock } from '../../shared/clock.ts';
import type { Identity } from '../../shared/schema/identity.ts';
import { identityOf } from '../agent/agent-fixture.ts';
import { type Fixture, startFixture } from '../coordinator/coordinator-fixture.ts';

let fixture: Fixture;
let names = 0;

before(async () => {
  fixture = await startFixture();
});
after(() => fixture.close());

interface Came {
  readonly at: number;
  readonly now: number;
  readonly markers: readonly string[];
  readonly how?: string;
  readonly code?: string;
  readonly hint?: string;
}

/** faketime(1), "Using offsets": `-1h` or `@1970-01-01 00:00:00`, from where time goes on. */
async function machine(clock: string, ...args: string[]) {
  names += 1;
  const identity = await identityOf(fixture, await fixture.instance(`clock-${names}`));
  return await boot({ clock, identity, dir: join(fixture.stateDir, `clock-${names}`) }, ...args);
}

async function boot(
  { clock, identity, dir }: { clock: string; identity: Identity; dir: string },
  ...args: string[]
): Promise<Came> {
  const [library] = globSync('/usr/lib/*/faketime/libfaketimeMT.so.1');
  assert.ok(library, 'apt-get install faketime');
  const file = `${dir}.time`;
  writeFileSync(file, clock);
  const child = spawn(process.execPath, [join(import.meta.dirname, 'clock-child.ts'), ...args], {
    env: {
      LD_PRELOAD: library,
      FAKETIME_DONT_FAKE_MONOTONIC: '1',
      FAKETIME_NO_CACHE: '1',
      FAKETIME_TIMESTAMP_FILE: file,
      BILLET_IDENTITY: JSON.stringify(identity),
      BILLET_DIR: dir,
    },
    timeout: 30_000,
  });
  const [out, errors] = await Promise.all([text(child.stdout), text(child.stderr)]);
  assert.ok(out.startsWith('{'), errors);
  return JSON.parse(out);
}

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;

for (const [clock, apart] of [
  ['-1h', -HOUR_MS],
  ['+1h', HOUR_MS],
] as const)
  test(`a machine whose clock is off by an hour (${clock}) enrolls, and its clock is left alone`, async () => {
    const came = await machine(clock, '--set-clock');
    assert.ok(Math.abs(came.at - systemClock.now() - apart) < MINUTE_MS);
    assert.equal(came.how, 'enrolled', JSON.stringify(came));
    assert.deepEqual(came.markers, []);
  });

test("a machine without a clock takes the coordinator's time, and enrolls; without it, it cannot", async () => {
  const came = await machine('@1970-01-01 00:00:05', '--set-clock');
  assert.ok(came.at < HOUR_MS);
  assert.deepEqual(came.markers, ['clock boot-image', 'clock coordinator']);
  assert.equal(came.how, 'enrolled');
  assert.ok(Math.abs(came.now - systemClock.now()) < MINUTE_MS);

  const without = await machine('@1970-01-01 00:00:05');
  assert.equal(without.code, 'LINK_DOWN');
  assert.match(without.hint ?? '', /begins after the time here; compare the clocks/);
});

test('who stands between and has another CA does not set the clock', async () => {
  const identity = await identityOf(fixture, await fixture.instance('clock-mitm'));
  const other = await startFixture();
  try {
    const dir = join(fixture.stateDir, 'clock-mitm');
    const led = { ...identity, coordinator: other.coordinator.url };
    const came = await boot({ clock: '@1970-01-01 00:00:05', identity: led, dir }, '--set-clock');
    assert.deepEqual(came.markers, ['clock boot-image']);
    assert.equal(came.code, 'CA_PIN_MISMATCH');
  } finally {
    await other.close();
  }
});

test('a clock that is years ahead is never set back: the error names it', async () => {
  const came = await machine('@2031-01-01 00:00:00', '--set-clock');
  assert.deepEqual(came.markers, []);
  assert.equal(came.code, 'LINK_DOWN');
  assert.match(came.hint ?? '', /ended before the time here; compare the clocks/);
});

test('the certificate of the last boot is a floor too, where the coordinator is away', async () => {
  names += 1;
  const identity = await identityOf(fixture, await fixture.instance('clock-kept'));
  const dir = join(fixture.stateDir, 'clock-kept');
  assert.equal((await boot({ clock: '+0', identity, dir })).how, 'enrolled');
  const away = { ...identity, coordinator: 'https://127.0.0.1:1' };
  const came = await boot({ clock: '@1970-01-01 00:00:05', identity: away, dir }, '--set-clock');
  assert.deepEqual(came.markers, ['clock boot-image', 'clock certificate']);
  assert.equal(came.how, 'survived');
  assert.ok(systemClock.now() - came.now < 2 * HOUR_MS);
});
