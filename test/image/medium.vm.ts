// The ISO in real machines: every way that a server boots it, and what firmware refuses with Secure Boot
// on. Each machine is watched until the agent's first marker, or until the firmware says no.

import assert from 'node:assert/strict';
import { copyFile, mkdtemp, open, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { cacheDirOf } from '#shared/build-cache.ts';
import { systemClock } from '#shared/clock.ts';
import type { QemuSpec } from '#shared/qemu/arguments.ts';
import { startMachine } from '#shared/qemu/drivers/qemu.ts';
import { type BootMedium, buildMedium } from '../../initramfs/medium.ts';
import { openSigner } from '../../initramfs/secure-boot.ts';
import { labCpus } from '../../lab/power.ts';
import { secureBootFiles } from './secure-boot-keys.ts';
import { writeSecureBootVars } from './secure-boot-vars.ts';

const OVMF = '/usr/share/OVMF';
const SECONDS = 240;
const signal = AbortSignal.timeout(15 * 60_000);
let dir: string;
/** Keys PK, KEK and db are in it. */
let enrolled: string;
const media: Partial<Record<'plain' | 'signed' | 'foreign', BootMedium>> = {};

before(async () => {
  dir = await mkdtemp(join(tmpdir(), 'billet-medium-'));
  const cacheDir = cacheDirOf(process.env);
  const trustPolicy = join(import.meta.dirname, 'testdata/trust-policy.json');
  const progress = () => undefined;
  const options = { cacheDir, clock: systemClock, trustPolicy, signal, progress };
  const keys = (name: string) => secureBootFiles(join(cacheDir, 'keys'), name);
  const [platform, db, foreign] = await Promise.all(['platform', 'db', 'foreign'].map(keys));
  assert.ok(platform && db && foreign);
  media.plain = await buildMedium(options);
  media.signed = await buildMedium({ ...options, signer: await openSigner(db, systemClock) });
  media.foreign = await buildMedium({ ...options, signer: await openSigner(foreign, systemClock) });
  enrolled = join(dir, 'enrolled.fd');
  const owner = platform.certificate;
  await writeSecureBootVars(
    join(OVMF, 'OVMF_VARS_4M.fd'),
    { pk: owner, kek: owner, db: db.certificate },
    enrolled,
  );
});
after(() => rm(dir, { recursive: true, force: true }));

const mediumOf = (name: keyof typeof media): BootMedium => {
  const medium = media[name];
  assert.ok(medium, `the medium ${name} was built`);
  return medium;
};

let boots = 0;

/** Variables of its own, as a server has them. */
async function firmware(secureBoot = false): Promise<Partial<QemuSpec>> {
  const vars = join(dir, `vars-${++boots}.fd`);
  await copyFile(secureBoot ? enrolled : join(OVMF, 'OVMF_VARS_4M.fd'), vars);
  const code = join(OVMF, secureBoot ? 'OVMF_CODE_4M.secboot.fd' : 'OVMF_CODE_4M.fd');
  return { firmware: { code, vars, ...(secureBoot && { secureBoot }) } };
}

/** The console up to the first line that `until` fits, and the seconds to it. */
async function watch(how: Partial<QemuSpec>, until: RegExp) {
  const spec: QemuSpec = {
    ...{ name: 'medium', accelerator: 'tcg', memoryMib: 2048, cpus: labCpus() },
    ...{ mac: '52:54:00:00:00:03', uuid: '00000000-0000-4000-8000-000000000003' },
    ...how,
  };
  const start = systemClock.monotonic();
  await using machine = await startMachine(spec, join(dir, `${++boots}.log`), signal);
  const lines: string[] = [];
  const late = AbortSignal.timeout(SECONDS * 1000);
  const line = await new Promise<string>((resolve, reject) => {
    machine.onLine((text) => {
      lines.push(text);
      if (until.test(text)) resolve(text);
    });
    late.onabort = () => reject(new Error(`nothing in ${SECONDS} s:\n${lines.join('\n')}`));
  });
  const seconds = ((systemClock.monotonic() - start) / 1000).toFixed(1);
  return { line, seconds, console: lines.join('\n') };
}

const STARTED = /BILLET_(MARKER|FAILURE) boot-start/;
/** BdsDxe of EDK II. */
const ENDED = /BILLET_|BdsDxe: failed to load Boot0001/;

for (const [way, how, facts] of [
  ['a CD by BIOS', (iso: string) => ({ cdrom: iso }), 'firmware=bios secure-boot=false'],
  ['a USB stick by BIOS', (iso: string) => ({ usbStick: iso }), 'firmware=bios secure-boot=false'],
  [
    'a CD by UEFI',
    async (iso: string) => ({ cdrom: iso, ...(await firmware()) }),
    'firmware=uefi secure-boot=false',
  ],
  [
    'a USB stick by UEFI',
    async (iso: string) => ({ usbStick: iso, ...(await firmware()) }),
    'firmware=uefi secure-boot=false',
  ],
] as const)
  test(`the ISO boots as ${way}`, async (t) => {
    const { line, seconds } = await watch(await how(mediumOf('plain').iso), STARTED);
    t.diagnostic(`boot-start after ${seconds} s`);
    assert.match(line, new RegExp(`BILLET_MARKER boot-start ${facts}`));
  });

test('with Secure Boot on, an ISO signed with an enrolled key boots, and its agent says so', async (t) => {
  const how = { cdrom: mediumOf('signed').iso, ...(await firmware(true)) };
  const { line, seconds, console } = await watch(how, ENDED);
  t.diagnostic(`boot-start after ${seconds} s`);
  assert.match(line, /BILLET_MARKER boot-start firmware=uefi secure-boot=true/, console);
});

for (const [what, iso] of [
  ['an unsigned ISO', async () => mediumOf('plain').iso],
  ['an ISO signed with a foreign key', async () => mediumOf('foreign').iso],
  ['a signed ISO with one bit of its UKI flipped', flipped],
] as const)
  test(`with Secure Boot on, ${what} is refused by the firmware`, async (t) => {
    const how = { cdrom: await iso(), ...(await firmware(true)) };
    const { line, seconds, console } = await watch(how, ENDED);
    t.diagnostic(`refused after ${seconds} s`);
    assert.match(line, /failed to load .*(Access Denied|Security Violation)/, console);
  });

/** In the middle of the initramfs, which the kernel's own signature would not cover. */
async function flipped(): Promise<string> {
  const { iso, uki } = mediumOf('signed');
  const program = await readFile(uki);
  const middle = Math.floor(program.length / 2);
  const copy = join(dir, 'flipped.iso');
  await copyFile(iso, copy);
  const at = (await readFile(copy)).lastIndexOf(program.subarray(middle, middle + 64));
  assert.ok(at > 0, 'the UKI lies in the ISO');
  await using file = await open(copy, 'r+');
  await file.write(Buffer.of((program[middle] ?? 0) ^ 1), 0, 1, at);
  return copy;
}
