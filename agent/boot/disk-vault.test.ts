// An encrypted disk that its TPM does not open, and the person who has its key.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BilletError } from '#shared/errors.ts';
import { generateRecoveryKeyPair } from '#shared/recovery/key-pair.ts';
import { makeRecoveryKey, openRecoveryKey } from '#shared/recovery/recovery-key.ts';
import { type Luks, luksLabel } from '../drivers/luks.ts';
import { diskVault, openVault } from './disk-vault.ts';

const signal = new AbortController().signal;
const locked = new BilletError('PERSIST_LOCKED', 'the TPM does not open it', { hint: 'type' });
const wrong = new BilletError('RECOVERY_KEY_WRONG', 'not the key', { hint: 'another' });

function testLuks(key: string) {
  const calls: string[] = [];
  let tpm = false;
  const luks: Luks = {
    format: async (_partition, given) => void calls.push(`format ${given === key}`),
    async bind() {
      calls.push('bind');
      tpm = true;
    },
    unlock: async () => (tpm ? '/dev/mapper/x' : Promise.reject(locked)),
    unlockWith: async (_partition, given) =>
      given === key ? '/dev/mapper/x' : Promise.reject(wrong),
    lock: async () => undefined,
  };
  return { luks, calls };
}

test('a locked disk waits for its key: what is wrong is said, and the TPM is bound anew', async () => {
  const key = makeRecoveryKey();
  const { luks, calls } = testLuks(key);
  const codes: string[] = [];
  const typed = ['nonsense', makeRecoveryKey(), ` ${key.toUpperCase()} `];
  const log = {
    marker: () => undefined,
    failure: (_stage: string, error: unknown) => codes.push((error as BilletError).code),
  };
  const deps = { luks, log, givenKey: async () => null, typedKey: async () => typed.shift() ?? '' };
  assert.equal(await openVault(deps, '/dev/x', signal), '/dev/mapper/x');
  assert.deepEqual(codes, ['PERSIST_LOCKED', 'RECOVERY_KEY_INVALID', 'RECOVERY_KEY_WRONG']);
  assert.deepEqual(calls, ['bind']);
  assert.equal(await openVault({ ...deps, luks }, '/dev/x', signal), '/dev/mapper/x');
  assert.equal(codes.length, 3, 'the TPM opens it again');
});

test('a key that the hypervisor gives is tried first; nobody types', async () => {
  const key = makeRecoveryKey();
  const { luks } = testLuks(key);
  const typedKey = () => Promise.reject(new TypeError('nobody is there'));
  const log = { marker: () => undefined, failure: () => undefined };
  const device = await openVault(
    { luks, log, givenKey: async () => key, typedKey },
    '/dev/x',
    signal,
  );
  assert.equal(device, '/dev/mapper/x');
});

test('nothing is written without a TPM, or for a recipient that nobody can seal to', async () => {
  const { luks, calls } = testLuks('');
  const missing = new BilletError('TPM_MISSING', 'none', { hint: 'switch it on' });
  const without = diskVault({ luks, assertTpm: () => Promise.reject(missing) });
  const { publicPem, privatePem } = generateRecoveryKeyPair();
  await assert.rejects(without.seal('/dev/x', publicPem, signal), { code: 'TPM_MISSING' });
  const vault = diskVault({ luks, assertTpm: async () => undefined });
  await assert.rejects(vault.seal('/dev/x', 'no key', signal), { code: 'RECOVERY_KEY_INVALID' });
  assert.deepEqual(calls, []);
  const sealed = await vault.seal('/dev/x', publicPem, signal);
  assert.match(openRecoveryKey(sealed, privatePem), /^([a-z]{8}-){7}[a-z]{8}$/);
  assert.deepEqual(calls, ['format false', 'bind']);
});

test('LUKS2 On-Disk Format 1.1.2, §2.1: the label stands at 24; version 1 and noise are no LUKS2', () => {
  const header = Buffer.alloc(512);
  header.write('LUKS\xba\xbe\0\x02', 0, 'latin1');
  header.write('billet-persist-luks', 24);
  assert.equal(luksLabel(header), 'billet-persist-luks');
  header[7] = 1;
  assert.equal(luksLabel(header), null);
  assert.equal(luksLabel(Buffer.alloc(512)), null);
});
