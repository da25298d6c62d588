// What the initramfs leaves for the agent of the system image, under /run/billet (0700). Written
// once before switch_root, read once after it. Keys and certificates are not in here: they lie in
// the state directory, which moves along as a mount.
//
//   handover.json       this file's schema
//   policy.json         the trust policy of the boot image
//   markers.jsonl       stages with their times
//   settings/NAME.json  settings of module NAME, checked against its signed schema
//   data/               ext4 with store/, state/ and var/: the persist disk, or a file in RAM

import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { Digest } from '#shared/digest.ts';
import { BilletError } from '#shared/errors.ts';
import { CloudMachine } from '#shared/schema/facts.ts';
import { Condition, ModuleState } from '#shared/schema/heartbeat.ts';
import { Identity } from '#shared/schema/identity.ts';
import { TrustPolicy } from '#shared/schema/trust-policy.ts';
import { readFileOrNull, writeFileAtomic } from './drivers/files.ts';

export const RUN_DIR = '/run/billet';
export const HANDOVER_FORMAT = 1;

/** Below the run directory (or another root, in tests). */
export const runPaths = (run: string = RUN_DIR) => ({
  run,
  handover: join(run, 'handover.json'),
  policy: join(run, 'policy.json'),
  markers: join(run, 'markers.jsonl'),
  settings: join(run, 'settings'),
  data: join(run, 'data'),
  store: join(run, 'data/store'),
  /** key.pem, enrollment.json, desired.json, boot-record.json; what a node keeps between boots. */
  state: join(run, 'data/state'),
  var: join(run, 'data/var'),
});
export type RunPaths = ReturnType<typeof runPaths>;

export const BootMarker = z.object({
  stage: z.string(),
  /** Since the kernel started. */
  seconds: z.number().nonnegative(),
  failure: z.boolean().default(false),
  fields: z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])).default({}),
});
export type BootMarker = z.infer<typeof BootMarker>;

export const BootedSlot = z.object({
  slot: z.enum(['a', 'b']),
  /** The name of the file. */
  entry: z.string().max(128),
  triesLeft: z.int().nonnegative().nullable(),
  /** Of the boot image, where somebody wrote down which it is. */
  manifest: Digest.nullable(),
  /** Device nodes of both slots. */
  devices: z.object({ a: z.string().max(256), b: z.string().max(256) }),
});

export type BootedSlot = z.infer<typeof BootedSlot>;

export const Handover = z.object({
  format: z.int().min(1),
  /** /proc/sys/kernel/random/boot_id: a hand-over of another boot is not believed. */
  bootId: z.uuid(),
  identity: Identity.omit({ token: true }).strip(),
  /** Where the identity came from a cloud. */
  cloud: CloudMachine.optional(),
  /** The generation that was booted. */
  generation: z.int().positive(),
  systemImage: Digest,
  /** The system modules that the image was merged from. */
  modules: z.array(ModuleState),
  /** Whether the kernel checks every file of the root against its digest. */
  verity: z.boolean(),
  /** persist: the data directory outlives this boot. */
  data: z.enum(['persist', 'memory']),
  /** The slot of its disk that the machine was started from; absent for a network or a medium. */
  slot: BootedSlot.optional(),
  /** The desired state came from the disk, since the coordinator was not to be reached. */
  offline: z.boolean(),
  conditions: z.array(Condition),
});
export type Handover = z.infer<typeof Handover>;

export async function writeHandover(
  paths: RunPaths,
  handover: Handover,
  policy: TrustPolicy,
): Promise<void> {
  await mkdir(paths.run, { recursive: true, mode: 0o700 });
  await writeFileAtomic(paths.policy, `${JSON.stringify(policy)}\n`, { mode: 0o600 });
  await writeFileAtomic(paths.handover, `${JSON.stringify(handover)}\n`, { mode: 0o600 });
}

/**
 * Null when this machine was not booted by Billet (or the hand-over is of another boot). Throws
 * CONFIG_INVALID for one that cannot be read, STORE_NEWER for a format from a newer boot image.
 */
export async function readHandover(
  paths: RunPaths,
  bootId: string,
): Promise<{ readonly handover: Handover; readonly policy: TrustPolicy } | null> {
  const bytes = await readFileOrNull(paths.handover);
  if (bytes === null) return null;
  const json = jsonOf(bytes, paths.handover);
  const format = z.object({ format: z.int().min(1) }).safeParse(json).data?.format;
  if (format !== undefined && format > HANDOVER_FORMAT)
    throw new BilletError('STORE_NEWER', `${paths.handover} has format ${format}`, {
      hint: `this agent reads formats up to ${HANDOVER_FORMAT}: use a newer system image with this boot image`,
    });
  const handover = parsed(Handover, json, paths.handover);
  if (handover.bootId !== bootId) return null;
  const policy = await readFileOrNull(paths.policy);
  if (policy === null) throw invalid(paths.policy, undefined);
  return {
    handover,
    policy: parsed(TrustPolicy, jsonOf(policy, paths.policy), paths.policy),
  };
}

function parsed<S extends z.ZodType>(schema: S, json: unknown, path: string): z.infer<S> {
  const result = schema.safeParse(json);
  if (result.success) return result.data;
  throw invalid(path, result.error);
}

function jsonOf(bytes: Buffer, path: string): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'));
  } catch (cause) {
    throw invalid(path, cause);
  }
}

function invalid(path: string, cause: unknown): BilletError {
  return new BilletError('CONFIG_INVALID', `${path} was not written by the boot stage`, {
    hint: 'reboot the machine: the hand-over is written anew at each boot',
    cause,
  });
}
