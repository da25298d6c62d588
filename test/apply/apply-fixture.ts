// What the tests of `billet apply` share: a coordinator in this process with a module and a boot image
// in its registry, and a directory of documents.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { CommandIo } from '../../cli/command-io.ts';
import { billet } from '../../cli/testing.ts';
import { silentLog } from '../../coordinator/log.ts';
import { startCoordinator } from '../../coordinator/main.ts';

export interface ApplyFixture {
  /** Where `write` puts documents. */
  readonly documents: string;
  /** Of an administrator. */
  context(): string;
  /** `billet …`, in this process. */
  run(args: readonly string[], io?: Partial<CommandIo>): ReturnType<typeof billet>;
  /** Has to work; its standard output. */
  out(...args: string[]): Promise<string>;
  json<T>(...args: string[]): Promise<T>;
  /** Has to end with that code; its standard error. */
  fails(code: string, ...args: string[]): Promise<string>;
  write(file: string, text: string): Promise<void>;
  remove(...files: string[]): Promise<void>;
  /** Another coordinator, empty, in the place of the first. */
  replace(): Promise<void>;
  close(): Promise<void>;
}

export async function applyFixture(): Promise<ApplyFixture> {
  const dir = await mkdtemp(join(tmpdir(), 'billet-apply-'));
  const documents = join(dir, 'fleet');
  let count = 0;
  const start = () => {
    count += 1;
    const stateDir = join(dir, `state-${count}`);
    const config = { stateDir, listen: '127.0.0.1:0', bootListen: null, stopSeconds: 1 };
    return startCoordinator(config, { log: silentLog });
  };
  let coordinator = await start();
  const run: ApplyFixture['run'] = (args, io = {}) =>
    billet(args, { ...io, env: { BILLET_CONTEXT: coordinator.adminContextPath } });
  const out = async (...args: string[]) => {
    const { code, stdout, stderr } = await run(args);
    assert.equal(code, 0, `${args.join(' ')}: ${stderr}`);
    return stdout;
  };
  const fixture: ApplyFixture = {
    documents,
    context: () => coordinator.adminContextPath,
    run,
    out,
    json: async <T>(...args: string[]) => JSON.parse(await out(...args, '--json')) as T,
    async fails(code, ...args) {
      const { code: ended, stderr } = await run(args);
      assert.notEqual(ended, 0, args.join(' '));
      assert.match(stderr, new RegExp(`^error: .+\\nhint: .+\\ncode: ${code}\\n$`, 's'));
      return stderr;
    },
    async write(file, text) {
      await mkdir(documents, { recursive: true });
      await writeFile(join(documents, file), text);
    },
    async remove(...files) {
      for (const file of files) await rm(join(documents, file));
    },
    async replace() {
      await coordinator.stop();
      coordinator = await start();
      await pushAll(dir, fixture);
    },
    async close() {
      await coordinator.stop();
      await rm(dir, { recursive: true });
    },
  };
  await pushAll(dir, fixture);
  return fixture;
}

/** `base:1.0.0`, `base:2.0.0` and `boot:1`. */
async function pushAll(dir: string, { out }: ApplyFixture): Promise<void> {
  for (const version of ['1.0.0', '2.0.0']) {
    const folder = join(dir, `base-${version}`);
    await rm(folder, { recursive: true, force: true });
    const named = ['--name', 'base', '--kind', 'system', '--module-version', version];
    await out('module', 'init', folder, ...named);
    await writeFile(join(folder, 'motd'), `hello from ${version}\n`);
    const tar = join(folder, 'files.tar');
    const when = ['--mtime=@0', '--owner=0', '--group=0'];
    execFileSync('tar', ['-C', folder, ...when, '-cf', tar, 'motd']);
    const layout = `oci:${join(folder, 'image')}:${version}`;
    const file = join(folder, 'module.json');
    await out('module', 'pack', '--layer', tar, '--module', file, '-o', layout);
    await out('module', 'push', layout, `base:${version}`);
  }
  const folder = join(dir, 'boot');
  await mkdir(folder, { recursive: true });
  for (const [file, text] of Object.entries(BOOT)) await writeFile(join(folder, file), text);
  await out('image', 'push', folder, 'boot:1');
}

const BOOT = { kernel: 'a kernel', initramfs: 'an initramfs', release: '6.12.0-test\n' };

/** Everything that a node can be made of, and two nodes. */
export const FLEET = `# the whole of a small fleet
kind: Node
name: edge-1
spec:
  pool: edge
  labels: { rack: b7 }
  metadata: { owner: edge-team }
  settings: { hostname: edge-1 }
---
kind: Node
name: edge-2
spec: { pool: edge, modules: ['base:2.0.0'] }
---
kind: Pool
name: edge
spec: { class: worker }
---
kind: Class
name: worker
spec:
  lifecycleClass: ephemeral
  template: edge-base
  region: here
  instanceType: small
  install: { profile: single-disk, disk: { serial: d0 } }
---
kind: InstanceType
name: small
spec: { provider: local-qemu, architecture: amd64, shape: { cpuCount: 2 } }
---
kind: Region
name: here
spec: { provider: local-qemu }
---
kind: Template
name: edge-base
spec:
  platform: debian
  modules: ['base:1.0.0']
  settings: { timezone: Asia/Tokyo }
---
kind: Publication
name: debian-1
spec: { platform: debian, boot: 'boot:1', status: published }
---
kind: Platform
name: debian
spec: { architecture: amd64 }
---
kind: Architecture
name: amd64
spec: { machine: x86_64, oci: amd64 }
`;
