// Identity from config drives: images made by xorriso and mkfs.fat as the pages of cloud-init and Nova
// show it, read as they lie, and on a real loop device.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { labelledDrives } from '../../agent/drivers/labelled-drive.ts';
import { loopDevices } from '../../agent/drivers/loop-device.ts';
import { noCloudStrategy } from '../../agent/identity/config-drive.ts';
import { discoverIdentity } from '../../agent/identity/discover.ts';
import { standardStrategies } from '../../agent/identity/strategies.ts';
import { USER_DATA, WHOLE } from './identity-metadata-fixture.ts';

const signal = new AbortController().signal;
const skip = process.getuid?.() === 0 ? false : 'loop devices need root';

/** cloud-init, "NoCloud", example: `echo instance-id: iid-local01` and a hostname. */
const NOCLOUD = {
  'meta-data': 'instance-id: iid-local01\nlocal-hostname: cloudimg\n',
  'user-data': USER_DATA,
};
/** Nova user guide, "Metadata - OpenStack format", shortened. */
const META_DATA = JSON.stringify({ uuid: 'd8e02d56-2648-49a3-bf97-6be8f1204f38', name: 'test' });
const CONFIG_2 = {
  'openstack/latest/meta_data.json': META_DATA,
  'openstack/latest/user_data': USER_DATA,
  'openstack/2018-08-27/meta_data.json': META_DATA,
  'ec2/latest/meta-data.json': '{}',
};

type Files = Readonly<Record<string, string>>;

async function folder(t: TestContext, files: Files = {}): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'billet-drive-test-'));
  t.after(() => rm(dir, { recursive: true }));
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(dir, path)), { recursive: true });
    await writeFile(join(dir, path), text);
  }
  return dir;
}

function tool(file: string, ...args: string[]): void {
  execFileSync(file, args, { stdio: 'pipe' });
}

/** `names`: which of the long names the image has (-J, -r), as genisoimage takes them. */
async function iso(t: TestContext, label: string, files: Files, names = ['-J', '-r']) {
  const image = join(await folder(t), 'drive.iso');
  const from = await folder(t, files);
  tool('xorriso', '-as', 'mkisofs', '-quiet', '-V', label, ...names, '-o', image, from);
  return image;
}

async function fat(t: TestContext, label: string, bits: 12 | 16 | 32, files: Files) {
  const image = join(await folder(t), 'drive.img');
  const kibibytes = { 12: 2048, 16: 16_384, 32: 65_536 }[bits];
  const shape = ['-C', '-F', String(bits), '-s', '1', '-n', label];
  tool('/usr/sbin/mkfs.fat', ...shape, image, String(kibibytes));
  const from = await folder(t, files);
  const top = [...new Set(Object.keys(files).map((path) => join(from, path.split('/')[0] ?? '')))];
  tool('mcopy', '-s', '-i', image, ...top, '::/');
  return image;
}

async function discover(t: TestContext, ...devices: string[]) {
  const openDrive = labelledDrives(async () => devices);
  const strategies = standardStrategies({ root: await folder(t), openDrive });
  return await discoverIdentity(strategies, signal);
}

test('NoCloud: user-data of a drive labelled cidata, with Joliet, Rock Ridge or both', async (t) => {
  for (const names of [['-J', '-r'], ['-J'], ['-r']]) {
    const image = await iso(t, 'cidata', NOCLOUD, names);
    assert.deepEqual(await discover(t, image), {
      identity: WHOLE,
      source: 'nocloud',
      cloud: { provider: 'nocloud', instance: 'iid-local01' },
    });
  }
  const shouted = await iso(t, 'CIDATA', NOCLOUD);
  assert.equal((await discover(t, '/no/such/device', '/dev/null', shouted)).source, 'nocloud');
});

test('OpenStack config drive: user_data, else vendor data, of a drive labelled config-2', async (t) => {
  const cloud = { provider: 'openstack', instance: 'd8e02d56-2648-49a3-bf97-6be8f1204f38' };
  const image = await iso(t, 'config-2', CONFIG_2);
  assert.deepEqual(await discover(t, image), { identity: WHOLE, source: 'config-drive', cloud });
  const vendor = await iso(t, 'config-2', {
    ...CONFIG_2,
    'openstack/latest/user_data': '#cloud-config\n',
    'openstack/latest/vendor_data.json': JSON.stringify({ billet: WHOLE }),
  });
  assert.deepEqual((await discover(t, vendor)).identity, WHOLE);
});

test('FAT drives of every kind, with long names and files over several clusters', async (t) => {
  const padded = { ...NOCLOUD, 'user-data': `${USER_DATA}${' '.repeat(40_000)}` };
  for (const bits of [12, 16, 32] as const) {
    const image = await fat(t, 'CIDATA', bits, padded);
    assert.deepEqual((await discover(t, image)).identity, WHOLE, `FAT${bits}`);
  }
  const many = Object.fromEntries(
    Array.from({ length: 60 }, (_, at) => [`openstack/a rather long name ${at}.txt`, 'x']),
  );
  const image = await fat(t, 'CONFIG-2', 16, { ...many, ...CONFIG_2 });
  assert.equal((await discover(t, image)).source, 'config-drive');
});

test('a drive on a real loop device is read, and nothing is left mounted or attached', {
  skip,
}, async (t) => {
  const loop = loopDevices()(await iso(t, 'cidata', NOCLOUD), { readOnly: true });
  try {
    assert.deepEqual((await discover(t, loop.path)).identity, WHOLE);
  } finally {
    loop.release();
  }
  assert.ok(!(await readFile('/proc/self/mountinfo', 'utf8')).includes(`${loop.path} `));
});

test('another label, another cloud-init and a drive without meta-data say nothing', async (t) => {
  const images = [
    await iso(t, 'backup', NOCLOUD),
    await iso(t, 'cidata', { ...NOCLOUD, 'user-data': '#cloud-config\nusers: []\n' }),
    await iso(t, 'config-2', { 'openstack/latest/user_data': USER_DATA }),
  ];
  for (const image of images)
    await assert.rejects(discover(t, image), { code: 'IDENTITY_MISSING' });
  const half = await iso(t, 'cidata', { 'user-data': USER_DATA });
  await assert.rejects(discover(t, half), { code: 'IDENTITY_MISSING' });
});

test('a drive is read as strictly as the file, and gives no file of ours', async (t) => {
  const refused = async (files: Files, message: RegExp) =>
    assert.rejects(discover(t, await iso(t, 'cidata', { ...NOCLOUD, ...files })), {
      code: 'CONFIG_INVALID',
      message,
    });
  await refused({ 'user-data': JSON.stringify({ ...WHOLE, tokne: 'x' }) }, /tokne/);
  await refused({ 'user-data': `{${' '.repeat(300_000)}}` }, /300002 bytes, the limit is 262144/);
  const directory = await iso(t, 'cidata', { 'meta-data': '', 'user-data/x': USER_DATA });
  await assert.rejects(discover(t, directory), {
    code: 'CONFIG_INVALID',
    message: /user-data is a directory/,
  });
  const from = await folder(t, NOCLOUD);
  await rm(join(from, 'user-data'));
  const secret = join(await folder(t, { secret: USER_DATA }), 'secret');
  await symlink(secret, join(from, 'user-data'));
  const image = join(await folder(t), 'link.iso');
  tool('xorriso', '-as', 'mkisofs', '-quiet', '-V', 'cidata', '-r', '-o', image, from);
  await assert.rejects(discover(t, image), { code: 'IDENTITY_MISSING' });
});

test('an image that is cut off, or whose numbers lie, is refused or says nothing: never a crash', async (t) => {
  const dir = await folder(t);
  const broken = join(dir, 'broken');
  const { read } = noCloudStrategy(labelledDrives(async () => [broken]));
  const images = [
    await iso(t, 'cidata', NOCLOUD),
    await iso(t, 'cidata', NOCLOUD, ['-r']),
    await fat(t, 'CIDATA', 12, NOCLOUD),
  ];
  let seed = 1;
  const random = (below: number) => {
    seed = (seed * 48_271) % 0x7fffffff;
    return seed % below;
  };
  for (const image of images) {
    const good = await readFile(image);
    // Where the structures are: descriptors and directories of the ISO, boot sector, FAT and root.
    const used = Math.min(good.length, 128 * 1024);
    for (let round = 0; round < 50; round += 1) {
      const bytes = Buffer.from(good.subarray(0, round % 5 === 0 ? random(used) : good.length));
      for (let at = 0; at < 12 && bytes.length > 0; at += 1)
        bytes[random(Math.min(used, bytes.length))] = random(256);
      await writeFile(broken, bytes);
      try {
        await read(signal);
      } catch (error) {
        const { code } = error as { code?: string };
        assert.equal(code, 'CONFIG_INVALID', String(error));
      }
    }
  }
});
