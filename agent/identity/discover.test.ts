import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { cmdlineWords } from './cmdline.ts';
import { discoverIdentity } from './discover.ts';
import { standardStrategies } from './strategies.ts';

let root: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'billet-identity-'));
});
afterEach(() => rm(root, { recursive: true }));

const COORDINATOR = 'https://10.0.2.2:8443';
const CA = `sha256:${'a'.repeat(64)}`;
const TOKEN = 'T'.repeat(43);
const INSTANCE = 'i-0123456789abcdef';
const WHOLE = { coordinator: COORDINATOR, ca: CA, instance: INSTANCE, token: TOKEN };

async function put(path: string, content: string | Buffer): Promise<void> {
  await mkdir(dirname(join(root, path)), { recursive: true });
  await writeFile(join(root, path), content);
}

const discover = () => discoverIdentity(standardStrategies({ root }), new AbortController().signal);
const cmdline = (values: object) =>
  `quiet ${Object.entries(values)
    .map(([key, value]) => `billet.${key}=${value}`)
    .join(' ')} console=ttyS0\n`;

/** DSP0134 §7.12: type, length, handle, count; then the strings. */
function oem(...texts: string[]): Buffer {
  const strings = texts.map((text) => `${text}\0`).join('');
  return Buffer.concat([Buffer.from([11, 5, 0, 11, texts.length]), Buffer.from(`${strings}\0`)]);
}

test('the kernel command line comes first', async () => {
  await put('proc/cmdline', cmdline(WHOLE));
  await put('etc/billet/identity.json', JSON.stringify({ ...WHOLE, token: 'U'.repeat(43) }));
  assert.deepEqual(await discover(), { identity: WHOLE, source: 'cmdline' });
});

test('words of the command line are split as the kernel does', () => {
  assert.deepEqual(cmdlineWords('a b="c d" "e=f g" h\n'), ['a', 'b=c d', 'e=f g', 'h']);
  assert.deepEqual(cmdlineWords('a="never closed b'), ['a=never closed b']);
  assert.deepEqual(cmdlineWords(''), []);
});

test('fw_cfg has one file a key, or one for all; ends of files are trimmed', async () => {
  const folder = 'sys/firmware/qemu_fw_cfg/by_name/opt/billet';
  for (const [key, value] of Object.entries(WHOLE))
    await put(`${folder}/${key}/raw`, `${value}\n\0`);
  assert.deepEqual(await discover(), { identity: WHOLE, source: 'fw-cfg' });
  await put(`${folder}/identity/raw`, `${JSON.stringify({ ...WHOLE, token: 'V'.repeat(43) })}\0`);
  assert.equal((await discover()).identity.token, 'V'.repeat(43));
});

test('SMBIOS has OEM strings, over several structures, among those of others', async () => {
  const entries = 'sys/firmware/dmi/entries';
  await put(
    `${entries}/11-0/raw`,
    oem('vendor text', `billet:coordinator=${COORDINATOR}`, `billet:ca=${CA}`),
  );
  await put(`${entries}/11-1/raw`, oem(`billet:instance=${INSTANCE}`, `billet:token=${TOKEN}`));
  await put(`${entries}/1-0/raw`, Buffer.from('billet:token=no\0\0'));
  assert.deepEqual(await discover(), { identity: WHOLE, source: 'smbios' });
});

test('who the machine is, and nothing else, is read: no source has a say in the trust policy', async () => {
  const more = { mode: 'off', policy: 'audit', trust: 'none', keys: 'x' };
  await put('proc/cmdline', `${cmdline(WHOLE)} ${cmdline(more)}`);
  assert.deepEqual(await discover(), { identity: WHOLE, source: 'cmdline' });
  await put('proc/cmdline', 'quiet');
  const fwCfg = 'sys/firmware/qemu_fw_cfg/by_name/opt/billet';
  for (const [key, value] of Object.entries({ ...WHOLE, ...more }))
    await put(`${fwCfg}/${key}/raw`, String(value));
  assert.deepEqual(await discover(), { identity: WHOLE, source: 'fw-cfg' });
});

test('a file comes last, and without a token', async () => {
  const { token: _, ...rest } = WHOLE;
  await put('etc/billet/identity.json', JSON.stringify(rest));
  assert.deepEqual(await discover(), { identity: rest, source: 'file' });
});

test('nothing anywhere is IDENTITY_MISSING and says where one would stand', async () => {
  await assert.rejects(discover(), { code: 'IDENTITY_MISSING', hint: /billet token create/ });
});

test('sources are not mixed: the first that speaks has to say all, and the error names what it left out', async () => {
  await put('proc/cmdline', cmdline({ coordinator: COORDINATOR, token: TOKEN }));
  await put('etc/billet/identity.json', JSON.stringify(WHOLE));
  await assert.rejects(discover(), (error: Error & { code: string }) => {
    assert.equal(error.code, 'CONFIG_INVALID');
    assert.match(error.message, /cmdline: ca is missing; instance is missing/);
    assert.ok(!error.message.includes(TOKEN), 'the token is not in the message');
    return true;
  });
});

test('plain http, a short pin and unknown keys are refused', async () => {
  await put('proc/cmdline', cmdline({ ...WHOLE, coordinator: 'http://10.0.2.2', ca: 'sha256:1' }));
  await assert.rejects(discover(), {
    code: 'CONFIG_INVALID',
    message: /coordinator is not valid.*ca is not valid/,
  });
  await put('proc/cmdline', 'quiet');
  await put('etc/billet/identity.json', JSON.stringify({ ...WHOLE, tokne: 'x' }));
  await assert.rejects(discover(), { code: 'CONFIG_INVALID', message: /tokne/ });
  await put('etc/billet/identity.json', '{');
  await assert.rejects(discover(), { code: 'CONFIG_INVALID', message: /not JSON/ });
});

const INFO = {
  ...{ format: 1, name: 'boot-metal', sequence: 1, version: '1.0.0' },
  builtAt: '2026-01-01T00:00:00.000Z',
};
const IMAGE = 'etc/billet/image.json';

test('what is baked into the boot image comes last, and says nothing of who the machine is', async () => {
  await put(IMAGE, JSON.stringify(INFO));
  await assert.rejects(discover(), { code: 'IDENTITY_MISSING' });
  const trust = { coordinator: 'https://baked:8443', ca: CA };
  await put(IMAGE, JSON.stringify({ ...INFO, ...trust }));
  assert.deepEqual(await discover(), { identity: trust, source: 'image' });
  await put('etc/billet/identity.json', JSON.stringify(WHOLE));
  assert.deepEqual(await discover(), { identity: WHOLE, source: 'file' });
});

test('a boot image says whom to trust where the command line says only who the machine is', async () => {
  const trust = { coordinator: 'https://baked:8443', ca: CA };
  await put(IMAGE, JSON.stringify({ ...INFO, ...trust }));
  await put('proc/cmdline', cmdline({ instance: INSTANCE, token: TOKEN }));
  const whole = { ...trust, instance: INSTANCE, token: TOKEN };
  assert.deepEqual(await discover(), { identity: whole, source: 'cmdline+image' });
  await put('proc/cmdline', cmdline({ instance: INSTANCE }));
  assert.deepEqual((await discover()).identity, { ...trust, instance: INSTANCE });
  // A half of the trust is not completed: the address of one and the CA of another would be mixed.
  await put('proc/cmdline', cmdline({ coordinator: COORDINATOR, instance: INSTANCE }));
  await assert.rejects(discover(), { code: 'CONFIG_INVALID', message: /cmdline: ca is missing/ });
  await put('proc/cmdline', cmdline(WHOLE));
  assert.deepEqual(await discover(), { identity: WHOLE, source: 'cmdline' });
});

test('a boot image whose description cannot be read says so, and boots as nobody else', async () => {
  for (const text of ['{', JSON.stringify({ ...INFO, coordinator: COORDINATOR }), '{"format":2}']) {
    await put(IMAGE, text);
    const hint = /billet image build/;
    await assert.rejects(discover(), { code: 'CONFIG_INVALID', message: /image\.json/, hint });
  }
});
