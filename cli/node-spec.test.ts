import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { sha256 } from '#shared/digest.ts';
import { BilletError } from '#shared/errors.ts';
import { ModuleRef } from '#shared/schema/module.ts';
import { NodeSpec } from '#shared/schema/records.ts';
import { type Resolve, specOf } from './node-spec.ts';

const moduleRef = (name: string, content: string) =>
  ModuleRef.parse({
    name,
    kind: 'system',
    version: '1.0.0',
    repository: name,
    manifest: sha256(content),
    image: sha256(`image of ${content}`),
  });

/** `name:tag` is the module `name` with the content `tag`. */
const resolve: Resolve = {
  async module(reference) {
    const [name = '', tag = ''] = reference.split(':');
    return moduleRef(name, tag);
  },
  bootImage: () => Promise.reject(new BilletError('NOT_FOUND', 'no boot image', { hint: '' })),
};

const empty = NodeSpec.parse({});

async function fileWith(t: TestContext, text: string): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'billet-spec-'));
  t.after(() => rm(dir, { recursive: true }));
  const file = join(dir, 'file');
  await writeFile(file, text);
  return file;
}

test('a module takes the place of the one with its name, the others stay', async () => {
  const before = { ...empty, modules: [moduleRef('base', 'old'), moduleRef('web', 'old')] };
  const spec = await specOf({ module: ['web:new', 'dns:new'] }, before, resolve);
  assert.deepEqual(spec.modules, [
    moduleRef('base', 'old'),
    moduleRef('web', 'new'),
    moduleRef('dns', 'new'),
  ]);
  const less = await specOf({ removeModule: ['base'] }, before, resolve);
  assert.deepEqual(less.modules, [moduleRef('web', 'old')]);
  await assert.rejects(specOf({ removeModule: ['dns'] }, before, resolve), {
    code: 'ARGUMENT_INVALID',
    hint: 'it has: base, web',
  });
});

test('labels are added, changed and taken away; nothing else changes', async () => {
  const before = { ...empty, labels: { rack: 'b7', row: '1' } };
  const spec = await specOf({ label: ['rack=', 'row=2', 'site=x=y'] }, before, resolve);
  assert.deepEqual(spec, { ...before, labels: { row: '2', site: 'x=y' } });
  await assert.rejects(specOf({ label: ['rack'] }, before, resolve), { code: 'ARGUMENT_INVALID' });
});

test('keys are read from files, a line each, without comments', async (t) => {
  const key = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA anna@example';
  const file = await fileWith(t, `# ours\n\n${key}\n`);
  const spec = await specOf({ sshKey: [file] }, empty, resolve);
  assert.deepEqual(spec.settings.sshKeys, [key]);
  const bad = await fileWith(t, 'command="sh" ssh-dss AAAA\n');
  await assert.rejects(specOf({ sshKey: [bad] }, empty, resolve), { code: 'ARGUMENT_INVALID' });
});

test('a spec file is strict, and flags change what it says', async (t) => {
  const file = await fileWith(t, '{"labels":{"a":"1"},"macs":["52:54:00:00:00:01"]}');
  const spec = await specOf({ file, mac: ['52:54:00:AB:CD:EF'] }, empty, resolve);
  assert.deepEqual(spec.labels, { a: '1' });
  assert.deepEqual(spec.macs, ['52:54:00:ab:cd:ef']);
  const unknown = await fileWith(t, '{"mcas":[]}');
  await assert.rejects(specOf({ file: unknown }, empty, resolve), {
    code: 'ARGUMENT_INVALID',
    message: /mcas/,
  });
  await assert.rejects(specOf({ file: '/nonexistent' }, empty, resolve), {
    code: 'ARGUMENT_INVALID',
  });
});

test('a bad address, UUID or host name is named', async () => {
  for (const [options, field] of [
    [{ mac: ['52:54'] }, /macs/],
    [{ uuid: 'x' }, /dmiUuid/],
    [{ hostname: '-x' }, /hostname/],
    [{ timezone: '../etc' }, /timezone/],
  ] as const)
    await assert.rejects(specOf(options, empty, resolve), {
      code: 'ARGUMENT_INVALID',
      message: field,
    });
});

test('a machine is registered by serial and asset tag; an empty text takes one away', async () => {
  const options = { serial: ' CZ3104A7KX ', assetTag: 'rack-7/3', claimBy: 'person' };
  const spec = await specOf(options, empty, resolve);
  assert.deepEqual(
    [spec.serial, spec.assetTag, spec.claimBy],
    ['CZ3104A7KX', 'rack-7/3', 'person'],
  );
  const less = await specOf({ serial: '' }, spec, resolve);
  assert.deepEqual([less.serial, less.assetTag, less.claimBy], [null, 'rack-7/3', 'person']);
  for (const wrong of [{ serial: 'x'.repeat(65) }, { assetTag: 'ü' }, { claimBy: 'nobody' }])
    await assert.rejects(specOf(wrong, empty, resolve), { code: 'ARGUMENT_INVALID' });
});
