// Installation on real block devices: loop devices, with the tools of the boot image.

import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { hostExec } from '../../agent/drivers/exec.ts';
import { runInstall } from '../../agent/install/run-install.ts';
import { mounted } from '../../agent/install/step.ts';
import { testMachine } from './install-disk-fixture.ts';

const signal = new AbortController().signal;

test('a blank disk is installed, once', async (context) => {
  const machine = await testMachine(context);
  const disk = await machine.addDisk();
  const outcome = await runInstall(machine.ports, machine.request(), signal);
  console.log(machine.lines.join('\n'));
  assert.equal(outcome.kind, 'installed');
});
