// A node in a directory, for tests: store, mounts and systemd as files, so that a process may die and
// another one find what it left. For tests only.

import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Digest, hexOf, sha256 } from '#shared/digest.ts';
import { BilletError } from '#shared/errors.ts';
import { DESIRED_TYPE, Desired, type Envelope } from '#shared/schema/desired.ts';
import { InstanceId } from '#shared/schema/ids.ts';
import { ModuleLabel, ModuleRef } from '#shared/schema/module.ts';
import { readFileOrNull } from '../drivers/files.ts';
import type { UnitState, Units } from '../drivers/units.ts';
import type { Modules, MountTable, ReconcilePorts } from './ports.ts';
import { REQUIRED_TARGETS, STATE_TARGET } from './unit-file.ts';

export const INSTANCE = InstanceId.parse('i-0123456789abcdef');

export interface TestModule {
  readonly label: ModuleLabel;
  readonly ref: ModuleRef;
}

/** `files` stands for the content: the same gives the same image. */
export function testModule(
  name: string,
  {
    kind = 'service',
    files = name,
    sequence = 1,
    ...label
  }: Record<string, unknown> & {
    kind?: 'service' | 'system';
    files?: string;
    sequence?: number;
  } = {},
): TestModule {
  const parsed = ModuleLabel.parse({
    format: 1,
    name,
    version: `1.0.${sequence}`,
    sequence,
    kind,
    ...(kind === 'service' ? { services: [{ name: 'main', exec: ['/bin/main'] }] } : {}),
    ...label,
  });
  const manifest = sha256(JSON.stringify([parsed, files]));
  const { version } = parsed;
  const ref = { name, kind, version, repository: name, manifest, image: sha256(files) };
  return { label: parsed, ref: ModuleRef.parse(ref) };
}

export function desiredOf(
  generation: number,
  modules: readonly TestModule[],
  settings: Desired['settings'] = {},
): Desired {
  return Desired.parse({
    format: 1,
    history: 'h1',
    instance: INSTANCE,
    node: 'web-1',
    generation,
    bootImage: null,
    modules: modules.map(({ ref }) => ref),
    systemImage: null,
    settings,
  });
}

export const envelopeOf = (desired: Desired): Envelope => ({
  payloadType: DESIRED_TYPE,
  payload: Buffer.from(JSON.stringify(desired)).toString('base64'),
  signatures: [],
});

/** Called before each operation; tests stop the world in it. */
export type Before = (operation: string) => Promise<void>;

export interface TestNode extends ReconcilePorts {
  /** Everything that runs or lies here, to be compared. */
  snapshot(): Promise<unknown>;
}

/** A unit whose text contains `FAIL` does not start. */
export function testNode(
  dir: string,
  modules: readonly TestModule[],
  before: Before = async () => undefined,
): TestNode {
  const store = join(dir, 'store');
  const unitDir = join(dir, 'units');
  const stateDir = join(dir, 'unit-states');
  const manifestOf = ({ manifest }: { manifest: Digest }) => join(store, hexOf(manifest));
  const touch = async (path: string, text = '') => {
    await mkdir(join(path, '..'), { recursive: true });
    await writeFile(path, text);
  };

  const images: Modules = {
    async held(wanted) {
      const here = new Set(await names(store));
      return wanted.map(({ manifest }) => manifest).filter((each) => here.has(hexOf(each)));
    },
    stored: async () => (await names(store)).map((hex) => `sha256:${hex}` as Digest),
    async pull(module) {
      await before(`pull ${module.name}`);
      await touch(manifestOf(module));
    },
    isFull: () => false,
    async label(module) {
      const found = modules.find(({ ref }) => ref.manifest === module.manifest);
      if (!found || (await readFileOrNull(manifestOf(module))) === null)
        throw new BilletError('NOT_FOUND', `no ${module.name} in the store`, { hint: '' });
      return found.label;
    },
    async mount(module, target) {
      await before(`mount ${module.name}`);
      for (const path of [...REQUIRED_TARGETS, STATE_TARGET, '/etc/hosts'])
        await mkdir(join(target, path), { recursive: true });
      await touch(join(target, '.mounted'), hexOf(module.image));
    },
    async compose(request) {
      await before('compose');
      return sha256(JSON.stringify(request.modules.map(({ manifest }) => manifest)));
    },
    async collect(keep) {
      await before('collect');
      for (const hex of await names(store))
        if (!keep.modules.some((each) => hexOf(each) === hex)) await rm(join(store, hex));
    },
  };

  const mounts: MountTable = {
    isMounted: async (target) => (await readFileOrNull(join(target, '.mounted'))) !== null,
    async unmount(target) {
      await before('unmount');
      await rm(target, { recursive: true, force: true });
    },
  };

  const units: Units = {
    async install(files) {
      await before('install');
      for (const { name, text } of files) await touch(join(unitDir, name), text);
    },
    installed: async (prefix) => (await names(unitDir)).filter((name) => name.startsWith(prefix)),
    async remove(removed) {
      await before('remove');
      for (const name of removed) await rm(join(unitDir, name), { force: true });
    },
    async start(started) {
      for (const name of started) {
        await before(`start ${name}`);
        const text = await readFile(join(unitDir, name), 'utf8');
        const works = !text.includes('FAIL');
        await touch(join(stateDir, name), works ? 'active' : 'failed');
        if (!works) throw new BilletError('UNIT_FAILED', `${name} failed`, { hint: 'journalctl' });
      }
    },
    async stop(stopped) {
      await before('stop');
      for (const name of stopped) await rm(join(stateDir, name), { force: true });
    },
    async states(asked) {
      const found = new Map<string, UnitState>();
      for (const name of asked) {
        const text = (await readFileOrNull(join(stateDir, name)))?.toString('utf8');
        found.set(name, (text as UnitState | undefined) ?? 'inactive');
      }
      return found;
    },
  };

  return {
    modules: images,
    units,
    mounts,
    settings: {
      async apply(settings) {
        await before('settings');
        await touch(join(dir, 'settings.json'), JSON.stringify(settings));
      },
    },
    power: {
      async restart() {
        await before('restart');
        await touch(join(dir, 'restarted'), '');
      },
    },
    async snapshot() {
      const unitFiles = await names(unitDir);
      return {
        stored: await names(store),
        states: await Promise.all(
          (await names(stateDir)).map(async (name) => [
            name,
            await readFile(join(stateDir, name), 'utf8'),
          ]),
        ),
        units: await Promise.all(unitFiles.map((name) => readFile(join(unitDir, name), 'utf8'))),
        settings: (await readFileOrNull(join(dir, 'settings.json')))?.toString('utf8') ?? null,
      };
    },
  };
}

async function names(dir: string): Promise<string[]> {
  await mkdir(dir, { recursive: true });
  return (await readdir(dir)).sort();
}
