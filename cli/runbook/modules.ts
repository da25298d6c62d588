// The signed labels of a template's modules, as the registry has them. Verifies no signature: every node
// does that for itself.

import { readLabels } from '#shared/artifact/module/labels.ts';
import { parseImageManifest } from '#shared/artifact/oci/schema.ts';
import { BilletError } from '#shared/errors.ts';
import type { ModuleLabel, ModuleRef } from '#shared/schema/module.ts';
import type { Coordinator } from '../client.ts';
import type { CommandIo } from '../command-io.ts';
import { openRepository } from '../registry.ts';

export interface LabelledModule {
  readonly ref: ModuleRef;
  /** Null when it could not be read; then `problem` says why. */
  readonly label: ModuleLabel | null;
  readonly problem: string;
}

/** In the order of `refs`. What cannot be read is said, and hides nothing of the others. */
export async function readModules(
  io: CommandIo,
  coordinator: Coordinator,
  refs: readonly ModuleRef[],
): Promise<readonly LabelledModule[]> {
  const modules: LabelledModule[] = [];
  for (const ref of refs) modules.push(await read(io, coordinator, ref));
  return modules;
}

async function read(
  io: CommandIo,
  coordinator: Coordinator,
  ref: ModuleRef,
): Promise<LabelledModule> {
  try {
    const source = openRepository(io, coordinator, ref.repository);
    const { bytes, mediaType } = await source.manifest(ref.manifest);
    const manifest = parseImageManifest(bytes, mediaType, `${ref.repository}@${ref.manifest}`);
    const { label } = await readLabels(source, manifest);
    return { ref, label, problem: '' };
  } catch (error) {
    io.signal.throwIfAborted();
    if (!(error instanceof BilletError)) throw error;
    return { ref, label: null, problem: `${error.code}: ${error.message}` };
  }
}
