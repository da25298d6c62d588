// A node in a directory, for tests: store, mounts and systemd as files, so that a process may die and
// another one find what it left. For tests only.

import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { type Digest, hexOf, sha256 } from '#shared/digest.ts';
import { BilletError } from '#shared/errors.ts';
import { DESIRED_TYPE, Desired, type Envelope } from '#shared/schema/desired.ts';
import { InstanceId } from '#shared/schema/ids.ts';
import { ModuleLabel, ModuleRef } from '#shared/schema/module.ts';
import { systemdUnits } from '../drivers/units.ts';
import { NO_NIX } from '../nix/no-nix-testing.ts';
import type { Modules, MountTable, ReconcilePorts } from './ports.ts';
import { testSystemctl } from './testing-systemd.ts';
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
  /** What runs, is mounted and lies in the store, to be compared; without the directory's own name. */
  snapshot(): unknown;
}

/**
 * store/ has a file for each module, and `litter-*` for what a pull or a merge that was cut off has
 * left; mounts.json is the mount table, innermost last.
 */
export function testNode(
  dir: string,
  modules: readonly TestModule[],
  before: Before = async () => undefined,
): TestNode {
  const store = join(dir, 'store');
  const table = join(dir, 'mounts.json');
  mkdirSync(store, { recursive: true });
  const manifestOf = ({ manifest }: { manifest: Digest }) => join(store, hexOf(manifest));
  const names = () => readdirSync(store).sort();
  const mounted = (): string[][] => JSON.parse(textOf(table) ?? '[]');
  const setMounted = (entries: string[][]) => writeFileSync(table, JSON.stringify(entries));
  const say = (line: string) => appendFileSync(join(dir, 'world.log'), `${line}\n`);

  const images: Modules = {
    async held(wanted) {
      const here = new Set(names());
      return wanted.map(({ manifest }) => manifest).filter((each) => here.has(hexOf(each)));
    },
    stored: async () =>
      names().flatMap((name) => (/^[0-9a-f]{64}$/.test(name) ? [`sha256:${name}` as Digest] : [])),
    async pull(module) {
      await before(`pull ${module.name}`);
      const litter = join(store, `litter-${hexOf(module.manifest)}`);
      writeFileSync(litter, '');
      await before(`pull the rest of ${module.name}`);
      writeFileSync(manifestOf(module), '');
      rmSync(litter);
    },
    async label(module) {
      const found = modules.find(({ ref }) => ref.manifest === module.manifest);
      if (!found || !existsSync(manifestOf(module)))
        throw new BilletError('NOT_FOUND', `no ${module.name} in the store`, { hint: 'pull it' });
      return found.label;
    },
    async mount(module, target) {
      await before(`mount ${module.name}`);
      for (const path of [...REQUIRED_TARGETS, STATE_TARGET, '/etc/hosts'])
        mkdirSync(join(target, path), { recursive: true });
      setMounted([...mounted(), [target, hexOf(module.image)]]);
      say(`mount ${module.name}`);
    },
    async compose(request) {
      await before('compose');
      const digest = sha256(JSON.stringify(request.modules.map(({ manifest }) => manifest)));
      writeFileSync(join(store, `litter-${hexOf(digest)}`), '');
      await before('compose the rest');
      rmSync(join(store, `litter-${hexOf(digest)}`));
      return digest;
    },
    isFull: () => false,
    async collect(keep) {
      const stays = (name: string) => keep.modules.some((each) => hexOf(each) === name);
      for (const name of names().filter((each) => !stays(each))) {
        await before('collect');
        rmSync(join(store, name));
      }
    },
  };

  const mounts: MountTable = {
    isMounted: async (target) => mounted().some(([each]) => each === target),
    async unmount(target) {
      await before('unmount');
      const entries = mounted();
      const index = entries.findLastIndex(([each]) => each === target);
      if (index < 0) return;
      setMounted(entries.toSpliced(index, 1));
      for (const path of readdirSync(target)) rmSync(join(target, path), { recursive: true });
      say('unmount');
    },
  };

  return {
    modules: images,
    nix: NO_NIX,
    slots: null,
    units: systemdUnits({ exec: testSystemctl(dir, before), dir: join(dir, 'units') }),
    mounts,
    settings: {
      async apply(settings) {
        await before('settings');
        writeFileSync(join(dir, 'settings-1.json'), JSON.stringify(settings));
        await before('the rest of the settings');
        writeFileSync(join(dir, 'settings-2.json'), JSON.stringify(settings));
      },
    },
    power: {
      async restart() {
        await before('restart');
        writeFileSync(join(dir, 'restarted'), '');
      },
    },
    snapshot() {
      const files = (folder: string) =>
        readdirSync(join(dir, folder)).map((name) => [name, textOf(join(dir, folder, name))]);
      const found = {
        stored: names(),
        mounts: mounted(),
        units: files('units'),
        running: files('unit-states'),
        settings: ['settings-1.json', 'settings-2.json'].map((name) => textOf(join(dir, name))),
      };
      return JSON.parse(JSON.stringify(found).replaceAll(dir, ''));
    },
  };
}

const textOf = (path: string): string | null =>
  existsSync(path) ? readFileSync(path, 'utf8') : null;
