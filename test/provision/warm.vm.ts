// A warm pool of real machines: one is kept ready without a node, a node claims it in seconds and runs
// as itself; what a cold boot of the same machine took is measured beside it.

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { z } from 'zod';
import { systemClock } from '#shared/clock.ts';
import { Instance } from '#shared/schema/records.ts';
import { killProcess, processesUnder, processesWith } from '../../coordinator/drivers/processes.ts';
import { openStage, type Stage } from '../boot/machine-fixture.ts';

const LIMIT_MS = 900_000;
const FLEET = join(import.meta.dirname, '../../examples/runbook/fleet');

let stage: Stage;
before(
  async () => {
    // One machine at a time: the pool is not filled again while the claimed one runs.
    const qemu = { mode: 'real', accelerator: 'tcg', machinesMax: 1 } as const;
    stage = await openStage({ providers: { 'local-qemu': qemu } });
  },
  { timeout: LIMIT_MS },
);
after(async () => {
  // Machines outlive their coordinator, also when a test has failed.
  for (const one of stage ? await processesUnder(stage.dir) : []) await killProcess(one);
  await stage?.close();
});

const billet = (...args: readonly string[]) => stage.fleet.billet(...args);
const instances = async () => z.array(Instance).parse(await billet('instance', 'list'));

async function untilWarm(): Promise<Instance> {
  for (let tries = 0; tries < 2400; tries += 1) {
    const one = (await instances()).find(({ pool }) => pool === 'edge');
    assert.notEqual(one?.state, 'failed', JSON.stringify(one));
    if (one?.state === 'running') return one;
    await delay(250);
  }
  assert.fail('never warm');
}

const secondsSince = (start: number) => (systemClock.monotonic() - start) / 1000;

test('an instance waits ready without a node; a claim makes it that node in a fraction of a cold boot', {
  timeout: LIMIT_MS,
}, async (t) => {
  await billet('apply', '-f', FLEET);
  const cold = systemClock.monotonic();
  await billet('apply', '-f', join(import.meta.dirname, 'warm-pool.yaml'));
  const warm = await untilWarm();
  const coldS = secondsSince(cold);
  assert.equal(warm.node, warm.id as string);
  const [machine] = await processesWith(warm.machine?.uuid ?? assert.fail());
  assert.ok(machine);

  const start = systemClock.monotonic();
  const claimed = z
    .array(Instance)
    .parse(await billet('instance', 'provision', 'edge-1', '--from-pool', '--wait'));
  const warmS = secondsSince(start);
  t.diagnostic(`cold: ${coldS.toFixed(1)} s; claimed and ready as the node: ${warmS.toFixed(1)} s`);
  const [one] = claimed;
  assert.ok(one);
  assert.deepEqual([one.id, one.node, one.state, one.pool], [warm.id, 'edge-1', 'running', null]);
  assert.equal(one.heartbeat?.generation, one.generation);
  assert.ok(one.generation > warm.generation);
  assert.equal(one.heartbeat?.bootId, warm.heartbeat?.bootId, 'it did not boot again');
  assert.deepEqual(await processesWith(one.machine?.uuid ?? ''), [machine], 'the same machine');
  assert.ok(warmS < 15 && warmS * 4 < coldS, `${warmS} s against ${coldS} s`);
  await assert.rejects(
    billet('instance', 'provision', 'edge-2', '--from-pool'),
    /no instance that is ready/,
  );
  // The pool first, or it would be filled as soon as there is room.
  await billet('apply', '-f', FLEET);
  await billet('instance', 'terminate', 'edge-1', '--force', '--wait');
  assert.deepEqual(await billet('provider', 'leftovers'), []);
});
