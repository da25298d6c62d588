// Power is cut after each change that the agent makes to files that outlive a boot, with unsynced
// bytes and names lost or kept: what was acted upon is never forgotten, and nothing is half there. The
// same traces without their syncs show that it is the syncs that do it.

import assert from 'node:assert/strict';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { EMPTY_RECORD, loadBootRecord, saveBootRecord } from '../../agent/boot/boot-record.ts';
import { withRejected, withTrial } from '../../agent/boot/policy.ts';
import { DesiredDocument, desiredFile } from '../../agent/link/desired.ts';
import { reportQueue, TaskReport } from '../../agent/link/queue.ts';
import { desiredOf, envelopeOf } from '../../agent/reconcile/testing.ts';
import { rebootTask } from '../../agent/tasks/reboot.ts';
import { LeasedTask } from '../../shared/schema/task.ts';
import { type Change, watchDisk } from './agent-disk.ts';
import { type Tree, treesAfter } from './agent-power-model.ts';

const TEMPORARY = existsSync('/dev/shm') ? '/dev/shm' : tmpdir();
const never = new AbortController().signal;
let root: string;
beforeEach(async () => {
  root = await mkdtemp(join(TEMPORARY, 'billet-power-'));
});
afterEach(() => rm(root, { recursive: true }));

interface Story {
  /** Acts on files in `dir`; says with `acted` what may never be forgotten from here on. */
  readonly act: (dir: string, acted: (fact: number) => void) => Promise<void>;
  /** What the next boot reads there. Throws for what is half there. */
  readonly recall: (dir: string) => Promise<number>;
}

/** What is forgotten, or half there, after some power cut; empty for nothing. */
async function powerCuts(
  { act, recall }: Story,
  keep: (change: Change) => boolean = () => true,
): Promise<string[]> {
  const dir = join(root, 'live');
  await mkdir(dir);
  const trace: Change[] = [];
  const facts: [after: number, fact: number][] = [[0, 0]];
  const unwatch = watchDisk(dir, async (change, go) => {
    const at = (path: string) => `/${relative(dir, path)}`;
    const moved = change.call === 'rename' ? { to: at(change.to) } : {};
    const copied = { ...change, ...moved, path: at(change.path) } as Change;
    if (keep(copied)) trace.push(copied);
    return await go();
  });
  await act(dir, (fact) => facts.push([trace.length, fact]));
  await unwatch();

  const wrong: string[] = [];
  for (let length = 0; length <= trace.length; length += 1) {
    const known = facts.findLast(([after]) => after <= length)?.[1] ?? 0;
    for (const tree of treesAfter(new Map([['/', null]]), trace.slice(0, length))) {
      const found = await onDisk(tree, recall).catch((error: unknown) => `half there: ${error}`);
      if (typeof found === 'string') wrong.push(`${length}: ${found}`);
      else if (found < known) wrong.push(`${length}: ${known} became ${found}`);
    }
  }
  await rm(dir, { recursive: true });
  assert.ok(trace.length >= 4, `${trace.length} changes`);
  return wrong;
}

async function onDisk(tree: Tree, recall: Story['recall']): Promise<number> {
  const dir = await mkdtemp(join(root, 'cut-'));
  for (const [path, bytes] of tree) {
    mkdirSync(bytes === null ? join(dir, path) : dirname(join(dir, path)), { recursive: true });
    if (bytes !== null) writeFileSync(join(dir, path), bytes);
  }
  try {
    return await recall(dir);
  } finally {
    await rm(dir, { recursive: true });
  }
}

const STORIES: Readonly<Record<string, Story>> = {
  'boots that a generation has begun, and that it was given up': {
    async act(dir, acted) {
      let record = EMPTY_RECORD;
      for (const boots of [1, 2]) {
        record = withTrial(record, 5);
        await saveBootRecord(dir, record);
        acted(boots);
      }
      await saveBootRecord(dir, withRejected(record, { generation: 5, reason: 'two boots' }));
      acted(3);
    },
    async recall(dir) {
      const { record, damage } = await loadBootRecord(dir);
      assert.deepEqual(damage, []);
      return record.rejected.length > 0 ? 3 : (record.trial?.boots ?? 0);
    },
  },
  'version floors of generations that were good': {
    async act(dir, acted) {
      for (const floor of [1, 2, 3]) {
        await saveBootRecord(dir, { ...EMPTY_RECORD, floors: { web: floor } });
        acted(floor);
      }
    },
    async recall(dir) {
      const { record, damage } = await loadBootRecord(dir);
      assert.deepEqual(damage, []);
      return record.floors.web ?? 0;
    },
  },
  'reports of tasks by their epochs': {
    async act(dir, acted) {
      for (const epoch of [1, 2, 3]) {
        await reportQueue(join(dir, 'reports')).add(reportOf(epoch));
        acted(epoch);
      }
    },
    async recall(dir) {
      const queue = reportQueue(join(dir, 'reports'));
      let newest = 0;
      await queue.flush(async ({ epoch }) => {
        newest = Math.max(newest, epoch);
      });
      assert.deepEqual(queue.damage, []);
      return newest;
    },
  },
  'reboots that were begun': {
    async act(dir, acted) {
      for (const nth of [1, 2]) {
        const exec = async () => {
          acted(nth);
          return { code: 0, stdout: '', stderr: '' };
        };
        await rebootTask({ exec, stateDir: dir, bootId: 'a' }).run(rebootOf(nth), never);
      }
    },
    async recall(dir) {
      const exec = async () => ({ code: 0, stdout: '', stderr: '' });
      const again = (nth: number) =>
        rebootTask({ exec, stateDir: dir, bootId: 'b' }).run(rebootOf(nth), never);
      for (const nth of [2, 1])
        if ((await again(nth).catch(() => 'refused')) === 'refused') return nth;
      return 0;
    },
  },
  'the desired state': {
    async act(dir, acted) {
      for (const generation of [1, 2]) {
        const envelope = envelopeOf(desiredOf(generation, []));
        const reply = { envelope, rejected: [], good: null };
        await desiredFile(dir).save(DesiredDocument.parse({ etag: `"${generation}"`, reply }));
        acted(generation);
      }
    },
    async recall(dir) {
      const file = desiredFile(dir);
      const document = await file.load();
      assert.deepEqual(file.damage, []);
      return Number(document?.etag.replaceAll('"', '') ?? 0);
    },
  },
};

const reportOf = (epoch: number): TaskReport =>
  TaskReport.parse({ id: 't-0123456789abcdef', epoch, result: { outcome: 'succeeded' } });

const rebootOf = (nth: number): LeasedTask =>
  LeasedTask.parse({
    ...{ id: `t-000000000000000${nth}`, epoch: 1, leaseSeconds: 600 },
    spec: { kind: 'reboot', reason: '' },
  });

for (const [name, story] of Object.entries(STORIES)) {
  test(`power cuts: ${name} are not forgotten, and never half there`, async () => {
    assert.deepEqual(await powerCuts(story), []);
  });

  test(`power cuts: ${name} would be forgotten without syncs of directories, or half there without those of files`, async () => {
    const isFile = ({ path }: Change) => /\.[0-9a-f]{12}$/.test(path);
    const namesLost = await powerCuts(story, (each) => each.call !== 'sync' || isFile(each));
    assert.match(namesLost.join('\n'), /became/);
    const bytesLost = await powerCuts(story, (each) => each.call !== 'sync' || !isFile(each));
    assert.notDeepEqual(bytesLost, []);
  });
}
