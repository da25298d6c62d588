// Attaches and detaches service modules: mount, unit files, start, probes. What is attached is
// recorded below the run directory, which goes with the boot as mounts and units do.

import { mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { hexOf } from '#shared/digest.ts';
import { BilletError } from '#shared/errors.ts';
import { type ModuleLabel, ModuleName, ModuleRef } from '#shared/schema/module.ts';
import { readChecked, writeChecked } from '../checked-file.ts';
import { exists, readFileOrNull, removeDrafts, writeFileAtomic } from '../drivers/files.ts';
import type { Units } from '../drivers/units.ts';
import { assertSettings } from './module-settings.ts';
import { settingsKey } from './plan.ts';
import type { Modules, MountTable } from './ports.ts';
import type { ModuleSettings } from './steps.ts';
import {
  OPTIONAL_TARGETS,
  REQUIRED_TARGETS,
  renderUnit,
  STATE_TARGET,
  unitName,
} from './unit-file.ts';
import type { AttachedService } from './world.ts';

export interface ServicesDeps {
  readonly modules: Modules;
  readonly units: Units;
  readonly mounts: MountTable;
  /** /run/billet */
  readonly runDir: string;
  /** Resolves when the probes of a module pass; throws PROBE_FAILED. */
  readonly probe: (label: ModuleLabel, signal: AbortSignal) => Promise<void>;
}

export interface Services {
  /** Resolves once its units are started and its probes pass. Throws UNIT_FAILED, PROBE_FAILED … */
  attach(module: ModuleRef, settings: ModuleSettings, signal: AbortSignal): Promise<void>;
  /** Resolves once nothing of the module runs or is mounted. Works on what a crash left, too. */
  detach(name: ModuleName, signal: AbortSignal): Promise<void>;
  observe(signal: AbortSignal): Promise<readonly AttachedService[]>;
}

const RecordFile = z.object({
  module: ModuleRef,
  settings: z.string(),
  units: z.array(z.string()),
  /** Of the label; none in a record of an older agent. */
  requires: z.array(ModuleName).default([]),
  persistent: z.array(z.string()).default([]),
});
type RecordFile = z.infer<typeof RecordFile>;

const RECORD = 'attached.json';

export function services(deps: ServicesDeps): Services {
  const { dirOf, settingsPath, records, stopAll, detach } = attachments(deps);
  const rootOf = ({ name, image }: ModuleRef) =>
    join(dirOf(name), hexOf(image).slice(0, 12), 'root');

  return {
    async attach(module, settings, signal) {
      const label = await deps.modules.label(module, signal);
      const units = label.services.map((service) => unitName(label, service));
      const others = await records();
      assertNamesFree(label, units, others);
      assertSettings(label, settings);
      const before = others.find((each) => each.module.name === label.name);
      // Without a record, what a life that died left running under this name.
      const left = before?.units ?? (await orphans(deps.units, label.name, others));
      if (left.length > 0) await stopAll(left, signal);

      const root = rootOf(module);
      await mkdir(root, { recursive: true, mode: 0o755 });
      if (!(await deps.mounts.isMounted(root))) await deps.modules.mount(module, root, signal);
      const targets = await targetsIn(root, label);
      await writeSettings(settingsPath(label.name), settings);
      const files = label.services.map((service) =>
        renderUnit({ label, service, root, settingsPath: settingsPath(label.name), targets }),
      );
      await deps.units.install(files, signal);
      // Recorded before the start: from here on a crash leaves something to observe.
      const { requires, persistent } = label;
      const key = settingsKey(settings);
      const record: RecordFile = { module, settings: key, units, requires, persistent };
      await writeChecked(join(dirOf(label.name), RECORD), record);
      await deps.units.start(units, signal);
      await deps.probe(label, signal);
    },

    detach,

    async observe(signal) {
      const found = await records();
      const states = await deps.units.states(
        found.flatMap(({ units }) => units),
        signal,
      );
      const runs = (unit: string) => ['active', 'activating'].includes(states.get(unit) ?? '');
      return await Promise.all(
        found.map(async ({ module, settings, units, requires, persistent }) => ({
          ...{ module, settings, requires, persistent },
          healthy: units.every(runs) && (await deps.mounts.isMounted(rootOf(module))),
        })),
      );
    },
  };
}

export type AttachmentsDeps = Pick<ServicesDeps, 'units' | 'mounts' | 'runDir'>;

/** What is attached, as it lies below the run directory, and the way back from it. */
export function attachments({ units, mounts, runDir }: AttachmentsDeps) {
  const base = join(runDir, 'services');
  const dirOf = (name: string) => join(base, name);
  const settingsPath = (name: string) => join(runDir, 'settings', `${name}.json`);

  async function records(): Promise<RecordFile[]> {
    const names = await entries(base);
    const found = await Promise.all(names.map((name) => readRecord(join(dirOf(name), RECORD))));
    return found.filter((each) => each !== null);
  }

  async function stopAll(names: readonly string[], signal: AbortSignal): Promise<void> {
    await units.stop(names, signal);
    await units.remove(names, signal);
  }

  return {
    dirOf,
    settingsPath,
    records,
    stopAll,
    /** Of every module that anything is left of, attached whole or not. */
    names: async (): Promise<readonly ModuleName[]> =>
      (await entries(base)).map((name) => ModuleName.parse(name)),

    async detach(name: ModuleName, signal: AbortSignal): Promise<void> {
      const record = await readRecord(join(dirOf(name), RECORD));
      await stopAll(record?.units ?? (await orphans(units, name, await records())), signal);
      for (const entry of await entries(dirOf(name)))
        if (entry !== RECORD) await mounts.unmount(join(dirOf(name), entry, 'root'));
      // The mount points are empty now; were one still mounted, its files could not be removed.
      await rm(dirOf(name), { recursive: true, force: true });
      await rm(settingsPath(name), { force: true });
      await removeDrafts(join(runDir, 'settings'));
    },
  };
}

/** Units of a module without a record, which is what a crash between the two leaves. */
async function orphans(
  units: Units,
  name: string,
  others: readonly RecordFile[],
): Promise<readonly string[]> {
  const taken = new Set(others.flatMap((each) => each.units));
  const installed = await units.installed(`billet-${name}-`);
  return installed.filter((unit) => !taken.has(unit));
}

/** `a-b` with service `c` and `a` with service `b-c` would share a unit. */
function assertNamesFree(
  { name }: ModuleLabel,
  units: readonly string[],
  records: readonly RecordFile[],
): void {
  for (const other of records.filter((each) => each.module.name !== name)) {
    const shared = units.find((unit) => other.units.includes(unit));
    if (shared !== undefined)
      throw new BilletError(
        'MODULE_INVALID',
        `${name} and ${other.module.name} both bring ${shared}`,
        {
          hint: 'rename a service of one of them, then seal and sign it again',
          details: { unit: shared },
        },
      );
  }
}

/** Which optional bind targets there are. Throws MODULE_INVALID when a required directory is missing. */
async function targetsIn(root: string, label: ModuleLabel): Promise<ReadonlySet<string>> {
  const stateful = label.services.some(({ stateDirectory }) => stateDirectory !== undefined);
  const required = [...REQUIRED_TARGETS, ...(stateful ? [STATE_TARGET] : [])];
  const missing: string[] = [];
  for (const path of required) if (!(await exists(join(root, path)))) missing.push(path);
  if (missing.length > 0)
    throw new BilletError('MODULE_INVALID', `${label.name} has no ${missing.join(', ')}`, {
      hint: 'add these empty directories to the image: its root is read-only, and they are mounted over',
      details: { module: label.name, missing },
    });
  const present: string[] = [];
  for (const path of OPTIONAL_TARGETS) if (await exists(join(root, path))) present.push(path);
  return new Set(present);
}

async function writeSettings(path: string, settings: ModuleSettings): Promise<void> {
  await mkdir(join(path, '..'), { recursive: true, mode: 0o755 });
  const text = `${JSON.stringify(settings)}\n`;
  if ((await readFileOrNull(path))?.toString('utf8') !== text) await writeFileAtomic(path, text);
}

/** Null for none, and for what this agent did not write whole. */
async function readRecord(path: string): Promise<RecordFile | null> {
  const found = await readChecked(path, RecordFile);
  return found.kind === 'whole' ? found.value : null;
}

async function entries(dir: string): Promise<string[]> {
  try {
    return (await readdir(dir)).sort();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}
