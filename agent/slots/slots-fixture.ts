// A disk with two boot slots in two folders, a registry in memory, and the loader's part of a boot. For
// tests only.

import { mkdir, mkdtemp, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import {
  BOOT_MEDIA,
  bootImageOf,
  bootManifest,
  parseBootManifest,
} from '#shared/artifact/boot/manifest.ts';
import { MEDIA } from '#shared/artifact/oci/media-types.ts';
import type { Descriptor } from '#shared/artifact/oci/schema.ts';
import type { ArtifactSource } from '#shared/artifact/oci/source.ts';
import { type Digest, sha256 } from '#shared/digest.ts';
import { BilletError } from '#shared/errors.ts';
import type { BootImage } from '#shared/schema/desired.ts';
import { ModuleName } from '#shared/schema/module.ts';
import { TrustPolicy } from '#shared/schema/trust-policy.ts';
import { hostMounts, type Mounts } from '../drivers/mounts.ts';
import { entryName, outranks, parseEntry } from './entry-name.ts';
import type { SlotName } from './plan.ts';
import { entriesIn } from './see.ts';
import { openSlots, type Slots } from './slots.ts';

export interface TestDisk {
  readonly slots: Slots;
  readonly stateDir: string;
  readonly devices: Readonly<Record<SlotName, string>>;
  readonly mounts: Mounts;
  /** `marker slot` of what was done. */
  readonly marks: string[];
  /** How often the registry was asked for a file. */
  readonly pulls: string[];
  image(content: string, sequence?: number): BootImage;
  /** As an installation leaves it, started once. */
  install(image: BootImage): Promise<void>;
  /** What a boot is: the loader chooses, counts, and another life of the agent looks at it. */
  boot(policy?: TrustPolicy['mode']): Promise<TestDisk>;
  names(slot: SlotName): Promise<string[]>;
  damage(slot: SlotName): Promise<void>;
  readonly running: SlotName;
}

const LOADERS = ['EFI/systemd/systemd-bootx64.efi', 'EFI/BOOT/BOOTX64.EFI'];
export const loaderOf = (content: string): string => `loader of ${content}`;

export async function testDisk(context: TestContext): Promise<TestDisk> {
  const dir = await mkdtemp(join(tmpdir(), 'billet-slots-'));
  const devices = { a: join(dir, 'esp'), b: join(dir, 'boot') };
  const stateDir = join(dir, 'state');
  const real = hostMounts();
  // In memory: what is written is flushed at each step, and a host has more to flush.
  real.mount({ source: 'billet-test', target: dir, type: 'tmpfs' });
  for (const each of [devices.a, devices.b, stateDir]) await mkdir(each);
  const mounts: Mounts = { ...real, mount: ({ source, target }) => real.bind(source, target) };
  context.after(async () => {
    for (const slot of ['a', 'b']) real.unmount(join(dir, 'mnt', slot), { detach: true });
    real.unmount(dir, { detach: true });
    await rm(dir, { recursive: true, force: true });
  });
  const blobs = new Map<Digest, Buffer>();
  const manifests = new Map<Digest, Buffer>();
  const pulls: string[] = [];
  const marks: string[] = [];

  function blob(text: string): Descriptor {
    const bytes = Buffer.from(text);
    const digest = sha256(bytes);
    blobs.set(digest, bytes);
    return { mediaType: BOOT_MEDIA.uki, digest, size: bytes.length };
  }
  const missing = (what: string) => new BilletError('NOT_FOUND', `no ${what}`, { hint: 'push it' });
  const source: ArtifactSource = {
    name: 'memory',
    resolve: async () => null,
    async manifest(reference) {
      const bytes = manifests.get(reference as Digest);
      if (bytes === undefined) throw missing(reference);
      return { bytes, digest: reference as Digest, mediaType: MEDIA.manifest };
    },
    async *blob({ digest }) {
      pulls.push(digest);
      const bytes = blobs.get(digest);
      if (bytes === undefined) throw missing(digest);
      yield bytes.subarray(0, 4);
      yield bytes.subarray(4);
    },
    referrers: async () => [],
    tags: async () => [],
  };

  const started = (running: SlotName, mode: TrustPolicy['mode']): TestDisk => ({
    ...{ stateDir, devices, mounts, marks, pulls, running },
    slots: openSlots({
      ...{ mounts, dir: join(dir, 'mnt'), stateDir, boot: { slot: running, devices } },
      fetch: {
        sourceFor: () => source,
        policy: TrustPolicy.parse({ format: 1, mode, rules: [{ modules: ['*'], keys: [KEY] }] }),
        floor: () => undefined,
        exempt: () => new Set(),
      },
      mark: (stage, { slot }) => marks.push(`${stage} ${slot}`),
    }),
    image(content, sequence = 1) {
      const [kernel, initramfs] = [blob(`kernel ${content}`), blob(`initramfs ${content}`)];
      const bytes = bootManifest({
        kernel: { ...kernel, mediaType: BOOT_MEDIA.kernel },
        initramfs: { ...initramfs, mediaType: BOOT_MEDIA.initramfs },
        uki: blob(`unified ${content}`),
        loader: { ...blob(loaderOf(content)), mediaType: BOOT_MEDIA.loader },
        ...{ kernelRelease: '6.12.0-test', commandLine: '' },
        release: { name: ModuleName.parse('metal'), sequence, version: `${sequence}.0.0` },
      });
      const digest = sha256(bytes);
      manifests.set(digest, bytes);
      const manifest = { bytes, mediaType: MEDIA.manifest };
      return bootImageOf(parseBootManifest(manifest, content), 'metal', digest);
    },
    async install({ uki, loader }) {
      const put = async (path: string, digest: Digest | null) => {
        await mkdir(join(devices.a, path, '..'), { recursive: true });
        await writeFile(join(devices.a, path), blobs.get(digest as Digest) ?? '');
      };
      for (const path of LOADERS) await put(path, loader);
      await put('EFI/Linux/billet-0000000001+2-1.efi', uki);
    },
    async boot(next = 'audit') {
      const found = await Promise.all(
        (['a', 'b'] as const).map(async (slot) => ({ slot, ...entriesIn(await namesOf(slot)) })),
      );
      const whole = found.filter(({ entry }) => entry !== null);
      whole.sort((x, y) => (x.entry && y.entry && outranks(y.entry, x.entry) ? 1 : -1));
      const [chosen] = whole;
      if (chosen?.name == null) throw new TypeError('nothing to boot');
      const entry = parseEntry(chosen.name);
      const left = entry?.triesLeft ?? 0;
      if (entry !== null && left > 0) {
        const after = { ...entry, triesLeft: left - 1, triesDone: entry.triesDone + 1 };
        const at = join(devices[chosen.slot], 'EFI/Linux');
        await rename(join(at, chosen.name), join(at, entryName(after)));
      }
      return started(chosen.slot, next);
    },
    names: namesOf,
    async damage(slot) {
      const [name = ''] = await namesOf(slot);
      await writeFile(join(devices[slot], 'EFI/Linux', name), 'torn');
    },
  });
  const namesOf = (slot: SlotName) =>
    readdir(join(devices[slot], 'EFI/Linux')).then(
      (names) => names.sort(),
      () => [],
    );
  return started('a', 'audit');
}

/** Of nobody: what is not signed is tolerated in mode audit, and refused in mode enforce. */
const KEY = `-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEaxfR8uEsQkf4vOblY6RA8ncDfYEt
6zOg9KE5RdiYwpZP40Li/hp/m47n60p8D54WK84zV2sxXs7LtkBoN79R9Q==
-----END PUBLIC KEY-----
`;
