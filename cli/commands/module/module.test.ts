import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdir, mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { billet } from '../../testing.ts';

async function workspace(t: TestContext): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'billet-cli-'));
  t.after(() => rm(dir, { recursive: true, force: true }));
  return dir;
}

const at = async (args: readonly string[]) => {
  const result = await billet(args);
  assert.equal(result.code, 0, result.stderr);
  return result;
};

test('from files to a verified module, with what a person would type', async (t) => {
  const dir = await workspace(t);
  const [image, key] = [`oci:${dir}/image:1`, join(dir, 'release')];
  await mkdir(join(dir, 'root/etc'), { recursive: true });
  await writeFile(join(dir, 'root/etc/motd'), 'hello\n');
  execFileSync('tar', ['-C', join(dir, 'root'), '-cf', join(dir, 'root.tar'), '.']);
  const module = join(dir, 'web', 'module.json');
  await at(['module', 'init', join(dir, 'web'), '--name', 'web']);
  await at(['module', 'pack', '--layer', join(dir, 'root.tar'), '--module', module, '-o', image]);
  const unsigned = await billet(['module', 'verify', image, '--policy', join(dir, 'none')]);
  assert.equal(unsigned.code, 2, unsigned.stderr);
  await at(['module', 'keygen', key]);
  assert.equal((await stat(`${key}.key`)).mode & 0o777, 0o600);
  const missing = await billet(['module', 'verify', image, '--key', `${key}.pub`]);
  assert.deepEqual(
    [missing.code, /SIGNATURE_MISSING/.test(missing.stderr)],
    [4, true],
    missing.stderr,
  );
  await at(['module', 'sign', image, '--key', `${key}.key`]);
  const sealedAgain = await at(['module', 'seal', image, '--module', module, '--json']);
  assert.equal(JSON.parse(sealedAgain.stdout).changed, false);
  const verified = await at(['module', 'verify', image, '--key', `${key}.pub`, '--json']);
  assert.deepEqual(JSON.parse(verified.stdout).label.name, 'web');
  const wrongName = await billet([
    'module',
    'verify',
    image,
    '--key',
    `${key}.pub`,
    '--name',
    'db',
  ]);
  assert.match(wrongName.stderr, /MODULE_INVALID/);
  const inspected = JSON.parse((await at(['module', 'inspect', image, '--json'])).stdout);
  assert.deepEqual([inspected.referrers.length, inspected.label.version], [1, '0.1.0']);
});

test('keygen overwrites no key, and the schema names every field of module.json', async (t) => {
  const key = join(await workspace(t), 'key');
  await at(['module', 'keygen', key, '--type', 'ed25519']);
  assert.equal((await billet(['module', 'keygen', key])).code, 2);
  const schema = JSON.parse((await at(['module', 'schema'])).stdout);
  assert.deepEqual(schema.required, ['format', 'name', 'version', 'sequence', 'kind']);
  assert.equal(schema.additionalProperties, false);
});
