// What the agent remembers: across boots in the boot record (good, rejected, floors), within one boot
// in /run (passed), within one life in memory (staged, settings). Decides nothing.

import { join } from 'node:path';
import { z } from 'zod';
import { Digest } from '#shared/digest.ts';
import type { BilletError } from '#shared/errors.ts';
import { Envelope } from '#shared/schema/desired.ts';
import { type BootRecord, loadBootRecord, saveBootRecord } from '../boot/boot-record.ts';
import { lostBy, readChecked, setAside, writeChecked } from '../checked-file.ts';
import { makeDirectory, removeDrafts } from '../drivers/files.ts';

const Kept = z.object({ generation: z.int().positive(), envelope: Envelope });
export type Kept = z.infer<typeof Kept>;

/** True until the next boot only, so it lies on tmpfs. */
const KeptRun = z.object({
  /** Probed in this boot and not confirmed: to go back to where nothing ever was confirmed. */
  passed: Kept.nullable(),
  /** Of the generation that was booted; null before it is known. */
  bootImage: Digest.nullable(),
});

export interface Staged {
  readonly generation: number;
  readonly systemImage: Digest;
  readonly bootImage: Digest | null;
  readonly manifests: readonly Digest[];
}

export interface RunState extends z.infer<typeof KeptRun> {
  /** What the next boot takes up. Not kept: the next life of the agent stages again. */
  readonly staged: Staged | null;
  /** `settingsKey` of what this life of the agent wrote last: an earlier one may have died halfway. */
  readonly settings: string | null;
}

const EMPTY_RUN: RunState = { staged: null, passed: null, bootImage: null, settings: null };
const REJECTED_MAX = 64;

export interface StateFiles {
  readonly record: BootRecord;
  readonly run: RunState;
  /** What was found damaged at the start, and what was lost by it. */
  readonly damage: readonly BilletError[];
  /**
   * Durable when it resolves. Writes nothing when nothing changes. Throws STORE_FULL or STORE_FAILED,
   * and is then true in memory; the next update writes it.
   */
  updateRecord(change: Partial<BootRecord>): Promise<void>;
  updateRun(change: Partial<RunState>): Promise<void>;
  /**
   * Generation numbers mean something in one history only: with another one, what was good, rejected
   * and on trial is forgotten. Floors stay, as no coordinator may lower them. In the same history it
   * writes what could not be written before.
   */
  enterHistory(history: string): Promise<void>;
}

export interface StateDirs {
  /** Survives boots where anything does. */
  readonly stateDir: string;
  /** tmpfs. */
  readonly runDir: string;
}

/** Opens whatever is there: what is damaged is set aside, and said in the conditions. */
export async function openState({ stateDir, runDir }: StateDirs): Promise<StateFiles> {
  const runPath = join(runDir, 'reconcile.json');
  for (const dir of [stateDir, runDir]) {
    await makeDirectory(dir, 0o700);
    await removeDrafts(dir);
  }
  const loaded = await loadBootRecord(stateDir);
  let { record } = loaded;
  let saved = JSON.stringify(record);
  const found = await readChecked(runPath, KeptRun);
  if (found.kind === 'damaged') await setAside(runPath);
  let run: RunState = { ...EMPTY_RUN, ...(found.kind === 'whole' ? found.value : {}) };
  const damage = [
    ...loaded.damage,
    ...(found.kind === 'damaged'
      ? [lostBy(found.damage, 'what passed its probes in this boot is forgotten')]
      : []),
  ];

  async function updateRecord(change: Partial<BootRecord>): Promise<void> {
    record = { ...record, ...change };
    record.rejected = record.rejected.slice(-REJECTED_MAX);
    const text = JSON.stringify(record);
    if (text === saved) return;
    await saveBootRecord(stateDir, record);
    saved = text;
  }

  return {
    get record() {
      return record;
    },
    get run() {
      return run;
    },
    damage,
    updateRecord,
    async updateRun(change) {
      const next = { ...run, ...change };
      const changed = JSON.stringify(KeptRun.parse(next)) !== JSON.stringify(KeptRun.parse(run));
      run = next;
      if (changed) await writeChecked(runPath, KeptRun.parse(next));
    },
    async enterHistory(history) {
      const change = { history, trial: null, rejected: [], good: null };
      await updateRecord(record.history === history ? {} : change);
    },
  };
}

/** Floors only rise. */
export function raiseFloors(
  floors: Readonly<Record<string, number>>,
  modules: readonly { readonly name: string; readonly sequence: number }[],
): Record<string, number> {
  const raised = { ...floors };
  for (const { name, sequence } of modules) raised[name] = Math.max(raised[name] ?? 0, sequence);
  return raised;
}
