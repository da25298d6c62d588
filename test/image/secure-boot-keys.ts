// Key pairs for Secure Boot, as an operator makes them. Made once, and kept with what is built with them.

import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { SecureBootFiles } from '../../initramfs/secure-boot.ts';

/** RSA 2048, self-signed, valid for ten years. */
export async function secureBootFiles(dir: string, name: string): Promise<SecureBootFiles> {
  const key = join(dir, `secure-boot-${name}.key`);
  const certificate = join(dir, `secure-boot-${name}.crt`);
  if (existsSync(key)) return { key, certificate };
  await mkdir(dir, { recursive: true, mode: 0o700 });
  const files = ['-keyout', `${key}.new`, '-out', certificate];
  const subject = ['-days', '3650', '-subj', `/CN=Billet test ${name}`];
  // openssl-req(1) writes the key for its owner only.
  await promisify(execFile)('openssl', [
    ...['req', '-x509', '-newkey', 'rsa:2048', '-nodes'],
    ...[...files, ...subject],
  ]);
  await rename(`${key}.new`, key);
  return { key, certificate };
}
