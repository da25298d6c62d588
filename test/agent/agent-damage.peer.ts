// Files of the agent cut off at each byte, and with each byte flipped: it opens, says what it lost with
// a code and a hint, believes nothing that no agent wrote, and loses nothing that another file has.

import assert from 'node:assert/strict';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { EMPTY_RECORD, loadBootRecord, saveBootRecord } from '../../agent/boot/boot-record.ts';
import { DesiredDocument, desiredFile } from '../../agent/link/desired.ts';
import { reportQueue, TaskReport } from '../../agent/link/queue.ts';
import { openState } from '../../agent/reconcile/state.ts';
import { desiredOf, envelopeOf } from '../../agent/reconcile/testing.ts';
import { rebootTask } from '../../agent/tasks/reboot.ts';
import type { BilletError } from '../../shared/errors.ts';
import { LeasedTask } from '../../shared/schema/task.ts';

const TEMPORARY = existsSync('/dev/shm') ? '/dev/shm' : tmpdir();
let dir: string;
before(async () => {
  dir = await mkdtemp(join(TEMPORARY, 'billet-damage-'));
});
after(() => rm(dir, { recursive: true }));

/** Every prefix, and every byte with one bit of it flipped, each bit in its turn. */
function* damagesOf(bytes: Buffer): Generator<[string, Buffer]> {
  for (let length = 0; length < bytes.length; length += 1)
    yield [`cut at ${length}`, bytes.subarray(0, length)];
  for (let at = 0; at < bytes.length; at += 1) {
    const flipped = Buffer.from(bytes);
    flipped.writeUInt8(flipped.readUInt8(at) ^ (1 << (at % 8)), at);
    yield [`byte ${at} flipped`, flipped];
  }
}

/**
 * With each damage: `open` gives what it believes, null for nothing, and what it says. The right value,
 * or nothing and STATE_CORRUPT; and afterwards a file can be written in its place.
 */
async function assertSeen<T>(
  path: string,
  whole: T,
  open: () => Promise<{ value: T | null; damage: readonly BilletError[] }>,
): Promise<void> {
  const bytes = readFileSync(path);
  let seen = 0;
  for (const [what, damaged] of damagesOf(bytes)) {
    writeFileSync(path, damaged);
    const { value, damage } = await open();
    if (value !== null && damage.length === 0) assert.deepEqual(value, whole, what);
    else {
      assert.equal(damage[0]?.code, 'STATE_CORRUPT', what);
      assert.match(damage[0]?.hint ?? '', /dmesg.*\.damaged/, what);
      assert.deepEqual(readFileSync(`${path}.damaged`), damaged, what);
      seen += 1;
    }
  }
  writeFileSync(path, bytes);
  // All but the few that leave the same JSON: the newline at the end, say.
  assert.ok(seen >= bytes.length * 2 - 4, `${seen} of ${bytes.length * 2}`);
}

const envelope = { ...envelopeOf(desiredOf(1, [])), payload: 'e30=' };
const RECORD = {
  ...{ ...EMPTY_RECORD, history: 'h1', trial: { generation: 3, boots: 1 } },
  ...{ rejected: [{ generation: 2, reason: 'no' }], good: { generation: 1, envelope } },
  floors: { web: 7 },
};

test('a damaged boot record is read from its copy, whole, and mended', async () => {
  await saveBootRecord(dir, RECORD);
  for (const name of ['boot-record.json', 'boot-record.copy.json']) {
    const path = join(dir, name);
    const good = readFileSync(path);
    for (const [what, damaged] of damagesOf(good)) {
      writeFileSync(path, damaged);
      const { record, damage } = await loadBootRecord(dir);
      assert.deepEqual(record, RECORD, what);
      if (damage.length > 0) assert.deepEqual(readFileSync(path), good, what);
    }
  }
});

test('with both damaged it starts empty, and says that the floors are forgotten', async () => {
  const copy = join(dir, 'boot-record.copy.json');
  await saveBootRecord(dir, RECORD);
  await assertSeen(join(dir, 'boot-record.json'), RECORD, async () => {
    writeFileSync(copy, '{"half');
    const { record, damage } = await loadBootRecord(dir);
    if (record.history === null) assert.match(damage[0]?.message ?? '', /floors, are forgotten/);
    return record.history === null
      ? { value: null, damage }
      : { value: record, damage: damage.filter(({ message }) => !message.includes('.copy.')) };
  });
});

test('what passed its probes, and the desired state on disk', async () => {
  const [stateDir, runDir] = [join(dir, 'state'), join(dir, 'run')];
  const open = () => openState({ stateDir, runDir });
  const passed = { generation: 1, envelope };
  await (await open()).updateRun({ passed });
  await assertSeen(join(runDir, 'reconcile.json'), passed, async () => {
    const { run, damage } = await open();
    return { value: run.passed, damage };
  });

  const document = DesiredDocument.parse({
    etag: '"1"',
    reply: { envelope, rejected: [], good: null },
  });
  await desiredFile(dir).save(document);
  await assertSeen(join(dir, 'desired.json'), document, async () => {
    const file = desiredFile(dir);
    return { value: await file.load(), damage: file.damage };
  });
});

test('a report of a task; the reports beside it are sent', async () => {
  const reports = join(dir, 'reports');
  const report = (id: string) =>
    TaskReport.parse({ id, epoch: 1, result: { outcome: 'succeeded', message: 'a finding' } });
  const [one, other] = [report('t-0123456789abcdef'), report('t-fedcba9876543210')];
  await reportQueue(reports).add(one);
  await assertSeen(join(reports, `${one.id}.1.json`), one, async () => {
    const queue = reportQueue(reports);
    await queue.add(other);
    const sent: TaskReport[] = [];
    await queue.flush(async (each) => void sent.push(each));
    assert.ok(sent.some(({ id }) => id === other.id));
    return { value: sent.find(({ id }) => id === one.id) ?? null, damage: queue.damage };
  });
  assert.ok((await readdir(reports)).includes(`${one.id}.1.json`));
});

test('which reboots were begun: damaged, the task runs, and is remembered again', async () => {
  const stateDir = join(dir, 'reboots');
  await mkdir(stateDir);
  const path = join(stateDir, 'reboots.json');
  const task = LeasedTask.parse({
    ...{ id: 't-0123456789abcdef', epoch: 1, leaseSeconds: 600 },
    spec: { kind: 'reboot', reason: '' },
  });
  const never = new AbortController().signal;
  const exec = async () => ({ code: 0, stdout: '', stderr: '' });
  const run = (bootId: string) => rebootTask({ exec, stateDir, bootId }).run(task, never);
  await run('a');
  const whole = readFileSync(path);
  for (const [what, damaged] of damagesOf(whole)) {
    writeFileSync(path, damaged);
    const outcome = await run('b').catch(({ code }: BilletError) => code);
    if (outcome === 'CONFLICT') continue;
    assert.equal(outcome, null, what);
    assert.deepEqual(readFileSync(`${path}.damaged`), damaged, what);
    await assert.rejects(run('c'), { code: 'CONFLICT' }, what);
  }
});
