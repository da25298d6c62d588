// Real modules for tests of the store: files on disk, packed, sealed and signed in a layout.
// Imported by tests only.

import { spawn } from 'node:child_process';
import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { TestContext } from 'node:test';
import { packImage } from '#shared/artifact/module/pack.ts';
import { sealImage } from '#shared/artifact/module/seal.ts';
import type { Layout } from '#shared/artifact/oci/layout.ts';
import { generateKeyPair, readSigningKey } from '#shared/artifact/signature/keys.ts';
import { signModule } from '#shared/artifact/signature/sign.ts';
import { temporaryDirectory, temporaryLayout } from '#shared/artifact/signature/testing.ts';
import { ModuleLabel, ModuleRef } from '#shared/schema/module.ts';
import { TrustPolicy } from '#shared/schema/trust-policy.ts';

export interface ModuleFixture {
  readonly name: string;
  /** Content by path; a path that ends in a slash is a directory. */
  readonly files: Readonly<Record<string, string | Buffer>>;
  readonly label?: Readonly<Record<string, unknown>>;
}

export interface Workshop {
  readonly layout: Layout;
  readonly policy: TrustPolicy;
  /** Another key than the policy's. */
  readonly foreignPolicy: TrustPolicy;
  make(fixture: ModuleFixture): Promise<ModuleRef>;
}

export async function workshop(test: TestContext): Promise<Workshop> {
  const layout = await temporaryLayout(test);
  const keys = generateKeyPair('ed25519');
  const key = readSigningKey(keys.privatePem);
  return {
    layout,
    policy: policyOf(keys.publicPem),
    foreignPolicy: policyOf(generateKeyPair('ed25519').publicPem),
    async make({ name, files, label = {} }) {
      const dir = await temporaryDirectory(test);
      await chmod(dir, 0o755);
      for (const [path, content] of Object.entries(files)) await put(join(dir, path), content);
      const tar = tarOf(dir);
      await packImage({ layout, tag: name, tar, architecture: 'amd64', level: 3 });
      const parsed = ModuleLabel.parse({
        format: 1,
        name,
        version: '1.0.0',
        sequence: 1,
        kind: 'system',
        ...label,
      });
      const sealed = await sealImage(layout, name, parsed);
      await signModule(layout, name, key, `test/${name}`, ['simple-signing']);
      const { kind, version } = parsed;
      const { digest: manifest, image } = sealed;
      return ModuleRef.parse({ name, kind, version, repository: name, manifest, image });
    },
  };
}

function policyOf(pem: string): TrustPolicy {
  return TrustPolicy.parse({ format: 1, rules: [{ modules: ['*'], keys: [pem] }] });
}

async function put(path: string, content: string | Buffer): Promise<void> {
  if (path.endsWith('/')) {
    await mkdir(path, { recursive: true });
    return;
  }
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, content);
}

async function* tarOf(dir: string): AsyncGenerator<Uint8Array, void> {
  const owner = ['--owner=0', '--group=0', '--numeric-owner', '--mtime=@1700000000'];
  // Without these the bytes differ from run to run, and a byte flipped in one of them harms nothing.
  const format = ['--format=pax', '--sort=name', '--pax-option=delete=atime,delete=ctime'];
  const child = spawn('tar', [...format, ...owner, '-C', dir, '-c', '.'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  yield* child.stdout;
}
