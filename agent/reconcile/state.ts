// What the agent remembers: across boots in the boot record (good, rejected, floors), within one boot
// in /run (staged, passed). Decides nothing.

import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { Digest } from '#shared/digest.ts';
import { Envelope } from '#shared/schema/desired.ts';
import { type BootRecord, loadBootRecord, saveBootRecord } from '../boot/boot-record.ts';
import { readFileOrNull, writeFileAtomic } from '../drivers/files.ts';

const Kept = z.object({ generation: z.int().positive(), envelope: Envelope });
export type Kept = z.infer<typeof Kept>;

/** True until the next boot only, so it lies on tmpfs. */
export const RunState = z.object({
  /** What the next boot takes up. */
  staged: z
    .object({
      generation: z.int().positive(),
      systemImage: Digest,
      bootImage: Digest.nullable(),
      manifests: z.array(Digest),
    })
    .nullable(),
  /** Probed in this boot and not confirmed: to go back to where nothing ever was confirmed. */
  passed: Kept.nullable(),
  /** Of the generation that was booted; null before it is known. */
  bootImage: Digest.nullable().default(null),
  /** `settingsKey` of the settings that were written last. */
  settings: z.string().nullable(),
});
export type RunState = z.infer<typeof RunState>;

const EMPTY_RUN: RunState = { staged: null, passed: null, bootImage: null, settings: null };
const REJECTED_MAX = 64;

export interface StateFiles {
  readonly record: BootRecord;
  readonly run: RunState;
  /** Durable when it resolves. Writes nothing when nothing changes. */
  updateRecord(change: Partial<BootRecord>): Promise<void>;
  updateRun(change: Partial<RunState>): Promise<void>;
  /**
   * Generation numbers mean something in one history only: with another one, what was good, rejected
   * and on trial is forgotten. Floors stay, as no coordinator may lower them.
   */
  enterHistory(history: string): Promise<void>;
}

export interface StateDirs {
  /** Survives boots where anything does. */
  readonly stateDir: string;
  /** tmpfs. */
  readonly runDir: string;
}

/** Throws CONFIG_INVALID on a record that no agent wrote: floors are not forgotten without a person. */
export async function openState({ stateDir, runDir }: StateDirs): Promise<StateFiles> {
  const runPath = join(runDir, 'reconcile.json');
  await mkdir(runDir, { recursive: true, mode: 0o700 });
  await mkdir(stateDir, { recursive: true, mode: 0o700 });
  let record = await loadBootRecord(stateDir);
  let run = parseRun(await readFileOrNull(runPath));

  async function updateRecord(change: Partial<BootRecord>): Promise<void> {
    const next = { ...record, ...change };
    next.rejected = next.rejected.slice(-REJECTED_MAX);
    if (JSON.stringify(next) === JSON.stringify(record)) return;
    await saveBootRecord(stateDir, next);
    record = next;
  }

  return {
    get record() {
      return record;
    },
    get run() {
      return run;
    },
    updateRecord,
    async updateRun(change) {
      const next = { ...run, ...change };
      if (JSON.stringify(next) === JSON.stringify(run)) return;
      await writeFileAtomic(runPath, JSON.stringify(next), { mode: 0o600 });
      run = next;
    },
    async enterHistory(history) {
      if (record.history === history) return;
      await updateRecord({ history, trial: null, rejected: [], good: null });
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

/** What cannot be read is observed or done again; nothing in it is worth an error. */
function parseRun(bytes: Buffer | null): RunState {
  if (bytes === null) return EMPTY_RUN;
  try {
    return RunState.safeParse(JSON.parse(bytes.toString('utf8'))).data ?? EMPTY_RUN;
  } catch (error) {
    if (error instanceof SyntaxError) return EMPTY_RUN;
    throw error;
  }
}
