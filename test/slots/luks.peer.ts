// The encrypted data disk with the tools of the boot image and a TPM in software: cryptsetup and
// systemd-cryptenroll against swtpm. Opening the mapping itself needs a kernel with device-mapper: that is
// slots.vm.ts.

import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, open, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { cacheDirOf } from '#shared/build-cache.ts';
import { systemClock } from '#shared/clock.ts';
import { generateRecoveryKeyPair } from '#shared/recovery/key-pair.ts';
import { openRecoveryKey } from '#shared/recovery/recovery-key.ts';
import { diskVault } from '../../agent/boot/disk-vault.ts';
import { type Exec, hostExec } from '../../agent/drivers/exec.ts';
import { LUKS_LABEL, luks, luksLabel } from '../../agent/drivers/luks.ts';
import { hostMounts } from '../../agent/drivers/mounts.ts';
import { buildBootRoot } from '../../initramfs/boot-root.ts';

const signal = AbortSignal.timeout(55_000);
const TPM = 'swtpm:path=/work/tpm';
const DISK = '/work/disk';

/** The Debian root that boot images are picked from, with /work in it; nothing of it is changed. */
async function bootTools(context: TestContext) {
  const dir = await mkdtemp(join(tmpdir(), 'billet-luks-'));
  const { root: lower } = await buildBootRoot({
    ...{ cacheDir: cacheDirOf(process.env), clock: systemClock, signal },
    progress: () => undefined,
  });
  const at = (...path: readonly string[]) => join(dir, ...path);
  for (const name of ['root', 'upper/dev', 'upper/proc', 'upper/work', 'scratch'])
    await mkdir(at(name), { recursive: true });
  const mounts = hostMounts();
  context.after(async () => {
    mounts.unmount(at('root'), { detach: true });
    await rm(dir, { recursive: true, force: true });
  });
  const options = `lowerdir=${lower},upperdir=${at('upper')},workdir=${at('scratch')}`;
  mounts.mount({ source: 'billet-test', target: at('root'), type: 'overlay', options });
  mounts.bind('/dev', at('root/dev'));
  mounts.mount({ source: 'proc', target: at('root/proc'), type: 'proc' });
  mounts.mount({ source: 'billet-test', target: at('root/work'), type: 'tmpfs' });
  const work = at('root/work');
  // Paths of the host's become those inside.
  const exec: Exec = (argv, abort, input) =>
    hostExec(
      ['chroot', at('root'), ...argv.map((word) => word.replace(work, '/work'))],
      abort,
      input,
    );
  return { exec, work };
}

async function startTpm(context: TestContext, work: string, name: string): Promise<ChildProcess> {
  const state = join(work, name);
  await mkdir(state);
  const socket = join(work, 'tpm');
  const server = ['--server', `type=unixio,path=${socket},disconnect`];
  const control = ['--ctrl', `type=unixio,path=${socket}.ctrl`];
  const child = spawn(
    'swtpm',
    [
      ...['socket', '--tpm2', '--tpmstate', `dir=${state}`, ...server, ...control],
      ...['--flags', 'startup-clear,not-need-init'],
    ],
    { stdio: 'ignore' },
  );
  context.after(() => child.kill('SIGKILL'));
  while ((await stat(socket).catch(() => null)) === null) await delay(20, undefined, { signal });
  return child;
}

test('the TPM that sealed it opens it, another one does not, and the recovery key binds it to that', async (t) => {
  const { exec, work } = await bootTools(t);
  await using file = await open(join(work, 'disk'), 'w+');
  await file.truncate(64 * 2 ** 20);
  const first = await startTpm(t, work, 'first');
  const driver = luks({ exec, tpm: TPM, runDir: work });
  const vault = diskVault({ luks: driver, assertTpm: async () => undefined });
  const { publicPem, privatePem } = generateRecoveryKeyPair();
  const sealed = await vault.seal(DISK, publicPem, signal);
  const header = Buffer.alloc(512);
  await file.read(header, 0, header.length, 0);
  assert.equal(luksLabel(header), LUKS_LABEL);

  /** systemd-cryptenroll(1): it lists no slots, but opens the volume by the TPM to add one. */
  const opensByTpm = async () => {
    const added = ['--unlock-tpm2-device', TPM, '--recovery-key', DISK];
    return (await exec(['systemd-cryptenroll', ...added], signal)).code === 0;
  };
  const opensBy = async (key: string) => {
    const argv = ['open', '--test-passphrase', '--type', 'luks2', '--key-file', '-', DISK];
    return (await exec(['cryptsetup', ...argv], signal, key)).code === 0;
  };
  const key = openRecoveryKey(sealed, privatePem);
  assert.deepEqual(
    [await opensByTpm(), await opensBy(key), await opensBy('another')],
    [true, true, false],
  );

  first.kill('SIGTERM');
  await once(first, 'exit');
  await rm(join(work, 'tpm'), { force: true });
  await startTpm(t, work, 'second');
  assert.equal(await opensByTpm(), false);
  await driver.bind(DISK, key, signal);
  assert.equal(await opensByTpm(), true);
  const { stdout } = await exec(['cryptsetup', 'luksDump', DISK], signal);
  assert.equal(stdout.match(/\d: systemd-tpm2/g)?.length, 1, 'no earlier TPM opens it any more');
  assert.match(stdout, /tpm2-hash-pcrs:\s+7\n/);
  const left = await exec(['ls', '/work'], signal);
  assert.doesNotMatch(left.stdout, /key-/, 'no key is left in a file');
});
