import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { systemClock } from '#shared/clock.ts';
import { capture } from './capture.ts';
import type { ConsoleSource } from './chunks.ts';
import { type Evidence, openEvidence } from './evidence.ts';
import { FLOWS } from './flows.ts';

let dir = '';

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'billet-capture-'));
});
afterEach(() => rmSync(dir, { recursive: true }));

const { signal } = new AbortController();
const patience = { timeoutSeconds: 30, graceSeconds: 30 };
const view = { show: () => undefined, end: () => undefined };
const said: ConsoleSource = {
  name: 'a console',
  async *read() {
    yield Buffer.alloc(1 << 20, 'x');
  },
};

function watched(evidence: Evidence, boot: (signal: AbortSignal) => Promise<void>) {
  const common = { flow: FLOWS.netboot, transport: 'redfish', console: said } as const;
  return capture({ clock: systemClock, signal }, { ...common, evidence, patience, view, boot });
}

test('a machine whose console cannot be kept is not booted', async () => {
  const evidence = await openEvidence(dir, systemClock);
  mkdirSync(evidence.path('console.log'));
  let booted = false;
  const boot = async () => {
    booted = true;
  };
  await assert.rejects(watched(evidence, boot), { code: 'COMMAND_FAILED' });
  assert.equal(booted, false);
});

test('a disk that fills up ends the boot before the capture: nobody works at the machine any more', async () => {
  const evidence = await openEvidence(dir, systemClock);
  let booting = false;
  const boot = async (until: AbortSignal) => {
    booting = true;
    await systemClock.sleep(20_000, until).catch(() => undefined);
    booting = false;
  };
  const full = { ...evidence, path: () => '/dev/full' };
  await assert.rejects(watched(full, boot), { code: 'COMMAND_FAILED', message: /ENOSPC/ });
  assert.equal(booting, false);
});

test('what the machine could not be booted for is the result, and the log is whole', async () => {
  const evidence = await openEvidence(dir, systemClock);
  const boot = () => Promise.reject(new Error('the BMC is away'));
  const { outcome, why } = await watched(evidence, boot);
  assert.deepEqual([outcome, why?.message], ['failed', 'the BMC is away']);
  assert.equal(readFileSync(evidence.path('console.log')).length, 1 << 20);
});
