// Each change that an installation makes to a disk may be the last before the power goes, on real block
// devices: another boot always comes to the same end.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { testMachine } from './install-disk-fixture.ts';
import { boot, endState, reference, wipes } from './install-power-cut.ts';

test('each single change may be the last before the power goes', async (context) => {
  const { changes, end } = await reference(context);
  for (let at = 0; at < changes; at += 1) {
    const machine = await testMachine(context);
    await machine.addDisk();
    const { outcome } = await boot(machine, { at });
    assert.match(outcome, /power cut/);
    const again = await boot(machine, { at: null });
    assert.equal(again.outcome, 'installed', `${at}: ${machine.lines.join('\n')}`);
    assert.deepEqual(await endState(machine), end, `cut before change ${at}`);
    assert.ok(wipes(machine) <= 2 && (at < 5 || wipes(machine) === 1), `${at}: ${wipes(machine)}`);
    await machine.dispose();
  }
});
