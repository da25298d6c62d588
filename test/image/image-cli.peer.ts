// `billet image` against a real coordinator in this process: pushed, signed, verified, published. The
// files are small stand-ins; nothing is built and no machine is started.

import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { sha256 } from '#shared/digest.ts';
import { billet } from '../../cli/testing.ts';
import { type Coordinator, startCoordinator } from '../../coordinator/main.ts';

let dir = '';
let coordinator: Coordinator;
const at = (name: string) => join(dir, name);
const run = (...args: string[]) =>
  billet(args, { env: { BILLET_CONTEXT: coordinator.adminContextPath } });

async function json(...args: string[]) {
  const { code, stdout, stderr } = await run(...args, '--json');
  assert.equal(code, 0, `${args.join(' ')}: ${stderr}`);
  return JSON.parse(stdout);
}

async function fails(exit: number, code: string, ...args: string[]): Promise<string> {
  const { code: ended, stdout, stderr } = await run(...args);
  assert.equal(ended, exit, `${args.join(' ')}: ${stdout}${stderr}`);
  assert.match(stderr, new RegExp(`^error: .+\\nhint: .+\\ncode: ${code}\\n$`, 's'));
  return stderr;
}

const writeImage = (sequence: number) =>
  writeFile(
    at('image.json'),
    JSON.stringify({
      ...{ format: 1, name: 'boot-metal', sequence, version: '1.2.0' },
      builtAt: '2026-11-12T09:30:20.000Z',
    }),
  );

before(async () => {
  dir = await mkdtemp(join(tmpdir(), 'billet-image-cli-'));
  coordinator = await startCoordinator(
    { stateDir: at('state'), listen: '127.0.0.1:0', bootListen: null, stopSeconds: 1 },
    { log: { info: () => undefined, warn: () => undefined, error: () => undefined } as never },
  );
  for (const name of ['kernel', 'initramfs', 'billet.efi', 'systemd-bootx64.efi'])
    await writeFile(at(name), `the ${name}`);
  await writeFile(at('release'), '6.12.0-amd64\n');
  await writeFile(at('command-line'), 'console=ttyS0 quiet\n');
  await writeImage(7);
  await json('module', 'keygen', at('release-key'));
  const key = await readFile(at('release-key.pub'), 'utf8');
  const rules = [{ modules: ['boot-*'], keys: [key] }];
  await writeFile(at('policy.json'), JSON.stringify({ format: 1, rules }));
  const platform = ['kind: Platform', 'name: metal', 'spec: {architecture: amd64}'];
  const architecture = ['kind: Architecture', 'name: amd64', 'spec: {machine: x86_64, oci: amd64}'];
  await writeFile(at('catalog.yaml'), [...architecture, '---', ...platform, ''].join('\n'));
  await json('apply', '-f', at('catalog.yaml'));
});
after(async () => {
  await coordinator.stop();
  await rm(dir, { recursive: true });
});

test('an image goes from its folder to a publication, and each step can be taken again', async () => {
  const pushed = await json('image', 'push', dir, 'boot:stable');
  assert.equal(pushed.uki, sha256('the billet.efi'));
  assert.equal(pushed.loader, sha256('the systemd-bootx64.efi'));
  assert.equal(pushed.commandLine, 'console=ttyS0 quiet');
  assert.deepEqual(await json('image', 'push', dir, 'boot:stable'), pushed);

  await fails(
    4,
    'SIGNATURE_MISSING',
    'image',
    'verify',
    'boot:stable',
    '--policy',
    at('policy.json'),
  );
  for (let time = 0; time < 2; time++)
    await json('image', 'sign', 'boot:stable', '--key', at('release-key.key'));
  const verified = await json('image', 'verify', 'boot:stable', '--policy', at('policy.json'));
  assert.deepEqual(verified.release, { name: 'boot-metal', sequence: 7, version: '1.2.0' });
  assert.equal(verified.digest, pushed.manifest);

  const publish = ['image', 'publish', 'boot:stable', '--platform', 'metal'];
  const draft = await json(...publish, '--status', 'draft');
  assert.deepEqual([draft.name, draft.spec.status], ['boot-metal-7', 'draft']);
  const published = await json(...publish);
  assert.deepEqual([published.spec.status, published.current], ['published', true]);
  assert.deepEqual(published.spec.boot, pushed);
  assert.deepEqual(await json(...publish), published, 'again, it changes nothing');
  assert.deepEqual(await json(...publish, '--status', 'draft'), published, 'what is out stays out');
});

test('other content under a published name is refused, and a higher sequence is a name of its own', async () => {
  await writeFile(at('billet.efi'), 'another UKI');
  await json('image', 'push', dir, 'boot:next');
  const publish = ['image', 'publish', 'boot:next', '--platform', 'metal'];
  assert.match(await fails(1, 'CONFLICT', ...publish), /higher --sequence/);
  await writeImage(8);
  await json('image', 'push', dir, 'boot:next');
  const { name, current } = await json(...publish);
  assert.deepEqual([name, current], ['boot-metal-8', true]);
  await json('publication', 'retire', 'boot-metal-8');
  await fails(1, 'CONFLICT', ...publish);
});

test('an image without a name is pushed for network boot, and neither signed nor published by itself', async () => {
  await rm(at('image.json'));
  await json('image', 'push', dir, 'boot:plain');
  await fails(
    1,
    'BOOT_IMAGE_INVALID',
    'image',
    'sign',
    'boot:plain',
    '--key',
    at('release-key.key'),
  );
  await fails(1, 'BOOT_IMAGE_INVALID', 'image', 'publish', 'boot:plain', '--platform', 'metal');
});

test('a build that cannot be is refused before it begins', async () => {
  const build = ['image', 'build', '--policy', at('policy.json'), '--out', at('out')];
  await fails(1, 'UNSUPPORTED', ...build, '--architecture', 'riscv64');
  await fails(2, 'ARGUMENT_INVALID', ...build, '--sequence', 'seven');
  await fails(2, 'ARGUMENT_INVALID', ...build, '--secure-boot-key', at('release-key.key'));
});
