import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { encodeLoadOption } from '../install/load-option.ts';
import { bootEntries } from './boot-entries.ts';
import { chooseBootNext } from './boot-next.ts';

const GLOBAL = '8be4df61-93ca-11d2-aa0d-00e098032b8c';
const ENTRY = {
  description: 'Billet',
  path: '\\EFI\\systemd\\systemd-bootx64.efi',
  partition: {
    ...{ number: 1, guid: 'be73339b-c806-463f-9c85-6e72d040ce65', name: 'billet-esp' },
    ...{ startBytes: 2 ** 20, sizeBytes: 2 ** 29 },
  },
  sectorBytes: 512,
};

async function efivars(context: TestContext) {
  const dir = await mkdtemp(join(tmpdir(), 'billet-efivars-'));
  context.after(() => rm(dir, { recursive: true }));
  const at = (name: string) => join(dir, `${name}-${GLOBAL}`);
  return { dir, at, order: async () => (await readFile(at('BootOrder'))).toString('hex') };
}

test('a load option has the bytes of UEFI 2.10 §3.1.3, with a hard drive and a file (§10.3.5)', () => {
  const hex = encodeLoadOption(ENTRY).toString('hex');
  assert.equal(
    hex.slice(0, 12 + 28),
    `010000007400${Buffer.from('Billet\0', 'utf16le').toString('hex')}`,
  );
  assert.equal(
    hex.slice(40, 40 + 84),
    '04012a00' +
      '01000000' +
      '0008000000000000' +
      '0000100000000000' + // number, start, size
      '9b3373be06c83f469c856e72d040ce65' +
      '0202',
  );
  assert.ok(hex.endsWith(`${Buffer.from('.efi\0', 'utf16le').toString('hex')}7fff0400`));
});

test('the disk is started first, and what the firmware knew before stays behind it', async (context) => {
  const { dir, at, order } = await efivars(context);
  await writeFile(at('Boot0000'), Buffer.concat([Buffer.from([7, 0, 0, 0]), Buffer.alloc(20, 1)]));
  await writeFile(at('BootOrder'), Buffer.from([7, 0, 0, 0, 0, 0]));
  await bootEntries(dir).startFirst(ENTRY);
  assert.equal(await order(), '07000000' + '0100' + '0000');
  const written = await readFile(at('Boot0001'));
  assert.deepEqual(written, Buffer.concat([Buffer.from([7, 0, 0, 0]), encodeLoadOption(ENTRY)]));

  await bootEntries(dir).startFirst({ ...ENTRY, path: '\\EFI\\other.efi' });
  assert.equal(await order(), '07000000' + '0100' + '0000', 'no second entry, no second place');
  assert.equal((await readdir(dir)).length, 3);
});

test('a firmware without any entry gets its first one; one that takes none is a failed step', async (context) => {
  const { dir, order } = await efivars(context);
  await bootEntries(dir).startFirst(ENTRY);
  assert.equal(await order(), '07000000' + '0000');
  await assert.rejects(bootEntries(join(dir, 'none')).startFirst(ENTRY), {
    code: 'INSTALL_STEP_FAILED',
  });
});

test('what starts next is the entry of that name, and nothing where there is none', async (context) => {
  const { dir, at } = await efivars(context);
  await writeFile(at('Boot0000'), Buffer.concat([Buffer.from([7, 0, 0, 0]), Buffer.alloc(20, 1)]));
  assert.equal(await chooseBootNext('Billet', dir), false);
  await bootEntries(dir).startFirst(ENTRY);
  assert.equal(await chooseBootNext('Billet', dir), true);
  assert.equal((await readFile(at('BootNext'))).toString('hex'), '07000000' + '0100');
});
