import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cipherOrder } from './cipher-order.ts';

test('AES comes first where the CPU has it, and nothing is left out anywhere', () => {
  const first = (cpuinfo: string) => cipherOrder(cpuinfo).split(':')[0];
  const epyc = 'model name\t: AMD EPYC\nflags\t\t: fpu sse4_2 aes xsave avx\n';
  assert.equal(first(epyc), 'TLS_AES_128_GCM_SHA256');
  assert.equal(first('Features\t: fp asimd aes pmull sha2\n'), 'TLS_AES_128_GCM_SHA256');
  for (const without of [
    '',
    'flags\t\t: fpu sse4_2 vaes_not\n',
    'Features\t: fp asimd\n',
    epyc.replace('AMD EPYC', 'QEMU TCG CPU version 2.5+'),
  ])
    assert.equal(first(without), 'TLS_CHACHA20_POLY1305_SHA256');
  assert.equal(new Set(cipherOrder(epyc).split(':')).size, 3);
});
