// Soft limits of the disk budget: defaults, work/budget.json, flags, the later before the earlier.

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { BilletError } from '#shared/errors.ts';
import { describeFaults } from '#shared/schema/faults.ts';
import { AREAS, type Area } from './gc.ts';

const GIB = 1024 ** 3;
const limitBytes = z.int().positive().optional();

const BUDGET_FILE = 'budget.json';

/** work/budget.json; a field that it does not know is an error that names it. */
const BudgetFile = z.strictObject({
  format: z.literal(1),
  cacheBytes: limitBytes,
  evidenceBytes: limitBytes,
  outputBytes: limitBytes,
  /** Newest of each kind that prune keeps. */
  keep: z.int().min(1).max(1000).optional(),
});

export interface Budget {
  readonly limitBytes: Readonly<Record<Area, number>>;
  readonly keep: number;
}

export type BudgetFlags = Partial<Record<Area, number>> & { readonly keep?: number };

const DEFAULT: Budget = {
  limitBytes: { cache: 12 * GIB, evidence: 2 * GIB, output: GIB },
  keep: 3,
};

/** Throws CONFIG_INVALID for a file that does not fit its schema. */
export async function readBudget(workDir: string, flags: BudgetFlags): Promise<Budget> {
  const path = join(workDir, BUDGET_FILE);
  const file = parseBudget(await textOrNull(path), path);
  const limit = (area: Area) => flags[area] ?? file[`${area}Bytes`] ?? DEFAULT.limitBytes[area];
  return {
    limitBytes: Object.fromEntries(
      AREAS.map((area) => [area, limit(area)]),
    ) as Budget['limitBytes'],
    keep: flags.keep ?? file.keep ?? DEFAULT.keep,
  };
}

function parseBudget(text: string | null, path: string): z.infer<typeof BudgetFile> {
  if (text === null) return { format: 1 };
  try {
    const parsed = BudgetFile.safeParse(JSON.parse(text));
    if (parsed.success) return parsed.data;
    throw invalid(path, describeFaults(parsed.error));
  } catch (cause) {
    if (cause instanceof BilletError) throw cause;
    throw invalid(path, 'not JSON', cause);
  }
}

async function textOrNull(path: string): Promise<string | null> {
  return await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return null;
    throw invalid(path, error.message, error);
  });
}

const invalid = (path: string, why: string, cause?: unknown) =>
  new BilletError('CONFIG_INVALID', `${path}: ${why}`, {
    hint: 'it holds format 1 and any of cacheBytes, evidenceBytes, outputBytes and keep',
    cause,
  });
