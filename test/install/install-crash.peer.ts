// Power cuts again and again, and in the middle of what takes its time, on real block devices; and what
// becomes of a machine without its journal.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { WriteRecord } from '../../agent/install/journal.ts';
import { testMachine } from './install-disk-fixture.ts';
import { boot, endState, reference, wipes } from './install-power-cut.ts';

/** Of systemd-repart's time, after which it is killed. */
const REPART_MS = [20, 80, 150];

test('a power cut before any change: the next boot goes on, and comes to the same end', async (context) => {
  const { changes, end } = await reference(context);
  assert.ok(changes >= 14, `${changes} changes`);
  const machine = await testMachine(context);
  await machine.addDisk();
  // One machine, cut off again and again, each time after one change more.
  for (let at = 0; ; at += 1) {
    const { outcome } = await boot(machine, { at });
    if (outcome === 'installed') break;
    assert.match(outcome, /power cut/, machine.lines.join('\n'));
    assert.ok(at < changes, machine.lines.slice(-20).join('\n'));
  }
  assert.deepEqual(await endState(machine), end);
});

test('systemd-repart and the download may be cut off in the middle', async (context) => {
  const { end } = await reference(context);
  const middles = [
    ...REPART_MS.map((repartMs) => ({ repartMs })),
    { bytes: 5 },
    { bytes: 2 ** 20 },
  ];
  for (const middle of middles) {
    const machine = await testMachine(context);
    await machine.addDisk();
    await boot(machine, { at: null, ...middle });
    const again = await boot(machine, { at: null });
    assert.match(again.outcome, /installed|present/, machine.lines.join('\n'));
    assert.deepEqual(await endState(machine), end, JSON.stringify(middle));
    assert.equal(wipes(machine), 1);
    await machine.dispose();
  }
});

test('without its journal the same machine is not brought to its end: that is what it is for', async (context) => {
  const machine = await testMachine(context);
  await machine.addDisk();
  const write: WriteRecord = async () => undefined;
  await boot(machine, { at: 8, write });
  const again = await boot(machine, { at: null, write });
  assert.equal(again.outcome, 'refused', machine.lines.at(-1) ?? '');
  assert.match(machine.lines.at(-1) ?? '', /INSTALL_DISK_HOLDS_DATA/);
});
