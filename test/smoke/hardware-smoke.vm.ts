// `billet hardware-smoke run --transport qemu`, as on a fresh clone: no image is named, so coordinator
// and ISO are made, a blank UEFI machine is installed from it and boots from its disk, and the evidence
// is what hardware leaves.

import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { PREFLIGHT_FILES } from '../../cli/hardware-smoke/preflight.ts';
import { Result } from '../../cli/hardware-smoke/result.ts';
import { billet } from '../../cli/testing.ts';

/** The first time, everything is built. */
const LIMIT_SECONDS = 900;
const dir = mkdtempSync(join(tmpdir(), 'billet-smoke-vm-'));
after(() => rmSync(dir, { recursive: true }));

test('a blank machine is installed from the ISO, boots from its disk, and is ready', {
  timeout: (LIMIT_SECONDS + 900) * 1000,
}, async () => {
  const words = ['--transport', 'qemu', '--work', dir, '--timeout', String(LIMIT_SECONDS)];
  const ran = await billet(['hardware-smoke', 'run', ...words], { env: process.env });
  process.stderr.write(ran.stdout.replace(/^/gm, '# '));
  assert.equal(ran.code, 0, ran.stderr);
});

test('the evidence is whole, and of the same names as that of hardware', () => {
  const latest = join(dir, 'hardware-smoke/latest');
  const names = [...PREFLIGHT_FILES, 'console.log', 'result.json'].sort();
  assert.deepEqual(readdirSync(latest).sort(), names);
  for (const name of names) assert.ok(statSync(join(latest, name)).size > 0, name);
  const result = Result.parse(JSON.parse(readFileSync(join(latest, 'result.json'), 'utf8')));
  assert.deepEqual([result.outcome, result.transport, result.boots], ['passed', 'qemu', 2]);
  assert.deepEqual(result.missing, []);
  const reached = result.stages.map(({ boot, stage }) => `${boot} ${stage}`);
  for (const each of ['1 install-plan', '1 installed', '2 boot-slot', '2 ready'])
    assert.ok(reached.includes(each), each);
  const environment = JSON.parse(readFileSync(join(latest, 'environment.json'), 'utf8'));
  assert.match(environment.image.digest, /^sha256:[0-9a-f]{64}$/);
});
