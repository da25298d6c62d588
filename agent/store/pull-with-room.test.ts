import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sha256 } from '#shared/digest.ts';
import { storeFull } from '../drivers/disk-error.ts';
import { pullWithRoom } from './pull-with-room.ts';
import { sharedOrAlone } from './shared-or-alone.ts';

const MiB = 1024 * 1024;
const manifest = sha256('module');

/** A disk of 100 MiB with this much litter, and a module of 40 MiB. */
function disk(litterMiB: number, sweeps = true) {
  const state = { litter: litterMiB * MiB, others: 0, stored: 0, pulls: 0 };
  const roomBytes = () => 100 * MiB - state.litter - state.others - state.stored;
  const withRoom = pullWithRoom({
    lock: sharedOrAlone(),
    room: () => ({ bytes: roomBytes(), files: 0 }),
    sweep: async () => {
      if (sweeps) state.litter = 0;
    },
  });
  const work = {
    manifest,
    load: async () => (state.stored > 0 ? 'held' : null),
    pull: async () => {
      state.pulls += 1;
      if (roomBytes() < 40 * MiB) {
        state.litter += Math.max(0, roomBytes());
        throw storeFull('write objects', {});
      }
      state.stored = 40 * MiB;
      return 'pulled';
    },
  };
  return { state, run: () => withRoom(work) };
}
const full = { code: 'STORE_FULL' };

test('litter of earlier pulls makes room for another try, at once', async () => {
  const { state, run } = disk(80);
  assert.equal(await run(), 'pulled');
  assert.deepEqual([state.pulls, state.litter], [2, 0]);
  // Mutation: nothing is swept.
  const without = disk(80, false);
  await assert.rejects(without.run(), full);
});

test('a pull that cannot fit is tried once, leaves nothing, and waits for more room', async () => {
  const { state, run } = disk(0);
  state.others = 70 * MiB;
  for (let again = 0; again < 3; again += 1) await assert.rejects(run(), full);
  assert.deepEqual([state.pulls, state.litter], [1, 0]);
  state.others = 65 * MiB;
  await assert.rejects(run(), full);
  assert.equal(state.pulls, 2);
  state.others = 0;
  assert.equal(await run(), 'pulled');
});

test('what came in another way is found, however little room there is', async () => {
  const { state, run } = disk(0);
  state.others = 90 * MiB;
  await assert.rejects(run(), full);
  state.stored = 1;
  assert.equal(await run(), 'held');
});
