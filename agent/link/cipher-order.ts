// Which cipher suites of TLS 1.3 the agent offers, and in which order. Pure; offers all three always.

const AES = ['TLS_AES_128_GCM_SHA256', 'TLS_AES_256_GCM_SHA384'] as const;
const CHACHA = 'TLS_CHACHA20_POLY1305_SHA256';

/**
 * In the syntax of OpenSSL's ciphers(1). AES comes first where the CPU computes it, else ChaCha20,
 * which is several times as fast in plain instructions (RFC 8439 §1). `cpuinfo` is the text of
 * /proc/cpuinfo; QEMU without acceleration claims instructions for AES, and emulates them slowly.
 */
export function cipherOrder(cpuinfo: string): string {
  const hasAes = /^(?:flags|Features)\s*:.*\baes\b/m.test(cpuinfo);
  const isEmulated = cpuinfo.includes('QEMU TCG');
  return (hasAes && !isEmulated ? [...AES, CHACHA] : [CHACHA, ...AES]).join(':');
}
