// What the agent remembers of NixOS systems: the one to go back to, and the activation that it is in the
// middle of, written before each part of it, so that any later life of the agent ends it. Decides nothing.

import { join } from 'node:path';
import { z } from 'zod';
import type { BilletError } from '#shared/errors.ts';
import { SystemPath } from '#shared/schema/nix-closure.ts';
import { lostBy, readChecked, setAside, writeChecked } from '../checked-file.ts';

export const Activation = z.object({
  generation: z.int().nonnegative(),
  storePath: SystemPath,
  activation: z.enum(['switch', 'boot', 'test']),
  timeoutSeconds: z.int().positive(),
});
export type Activation = z.infer<typeof Activation>;

/**
 * profile: the profile is being set; activate: its unit is started, or runs, or has ended; back: the same
 * for the system before, after a failure.
 */
export const SwitchRecord = Activation.extend({
  /** What ran before; null where that was no NixOS system. */
  before: SystemPath.nullable(),
  stage: z.enum(['profile', 'activate', 'back-profile', 'back-activate']),
  failure: z
    .object({
      code: z.enum(['NIX_ACTIVATION_FAILED', 'NIX_ACTIVATION_TIMEOUT']),
      message: z.string(),
    })
    .nullable(),
});
export type SwitchRecord = z.infer<typeof SwitchRecord>;

const NixState = z.object({
  /** The system of the last good generation, or the one that was there before the first. */
  lastGood: SystemPath.nullable(),
  switching: SwitchRecord.nullable(),
});
export type NixState = z.infer<typeof NixState>;

const EMPTY: NixState = { lastGood: null, switching: null };

export interface NixStateFile {
  readonly value: NixState;
  /** STATE_CORRUPT, and what was lost by it. */
  readonly damage: readonly BilletError[];
  /** Durable when it resolves. Throws STORE_FULL, STORE_FAILED. */
  update(change: Partial<NixState>): Promise<void>;
}

export async function openNixState(stateDir: string): Promise<NixStateFile> {
  const path = join(stateDir, 'nix.json');
  const found = await readChecked(path, NixState);
  if (found.kind === 'damaged') await setAside(path);
  let value = found.kind === 'whole' ? found.value : EMPTY;
  return {
    get value() {
      return value;
    },
    damage:
      found.kind === 'damaged'
        ? [lostBy(found.damage, 'which NixOS system was the last good one is forgotten')]
        : [],
    async update(change) {
      const next = { ...value, ...change };
      if (JSON.stringify(next) === JSON.stringify(value)) return;
      await writeChecked(path, next);
      value = next;
    },
  };
}
