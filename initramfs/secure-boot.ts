// Signs EFI programs for Secure Boot (Authenticode). Refuses keys and certificates that firmware or an
// operator would regret. The signature depends on program, key and the time that is given: the same
// bytes each time (RSASSA-PKCS1-v1_5, RFC 8017 §8.2).

import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { readFile, rename, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { Clock } from '#shared/clock.ts';
import { type Digest, sha256 } from '#shared/digest.ts';
import { BilletError, type Code } from '#shared/errors.ts';
import { CERTIFICATE, KEY, type MediumTools, WORK } from './medium-tools.ts';

/** Files in PEM. */
export interface SecureBootFiles {
  readonly key: string;
  readonly certificate: string;
}

/** Checked: they fit, and may sign now. */
export interface Signer extends SecureBootFiles {
  readonly subject: string;
  /** SHA-256 of the certificate in DER, as firmware setups show it. */
  readonly fingerprint: Digest;
  /** Unix seconds. */
  readonly validFrom: number;
}

const OTHERS = 0o077;
/** UEFI 2.10 §32.4.1: EFI_CERT_RSA2048_GUID; larger ones are known to EDK II and to most firmware. */
const LEAST_BITS = 2048;

/**
 * Throws SECURE_BOOT_KEY_EXPOSED, SECURE_BOOT_KEY_INVALID, SECURE_BOOT_KEY_MISMATCH and
 * SECURE_BOOT_CERTIFICATE_EXPIRED, in this order; nothing is signed then.
 */
export async function openSigner(files: SecureBootFiles, clock: Clock): Promise<Signer> {
  const [key, certificate] = [resolve(files.key), resolve(files.certificate)];
  await assertPrivate(key);
  const privateKey = parseKey(await readPem(key), files.key);
  const parsed = parseCertificate(await readPem(certificate), files.certificate);
  if (!parsed.checkPrivateKey(privateKey))
    throw refused(
      'SECURE_BOOT_KEY_MISMATCH',
      `the certificate ${files.certificate} is of another key than ${files.key}`,
      'name the two files that `openssl req -x509 -newkey rsa:2048 …` wrote together',
    );
  const [from, to] = [parsed.validFromDate, parsed.validToDate];
  if (clock.now() < from.getTime() || clock.now() > to.getTime())
    throw refused(
      'SECURE_BOOT_CERTIFICATE_EXPIRED',
      `the certificate ${files.certificate} is valid from ${from.toISOString()} to ${to.toISOString()}`,
      'check the clock of this machine; else make a new certificate, and enroll it in the firmware of your machines first',
    );
  return {
    ...{ key, certificate, subject: parsed.subject.replaceAll('\n', ', ') },
    fingerprint: sha256(parsed.raw),
    validFrom: from.getTime() / 1000,
  };
}

/** Writes `dir/name` signed in the place of what it is. `at` is the time in the signature, Unix seconds. */
export async function signEfi(
  tools: MediumTools,
  signer: Signer,
  dir: string,
  name: string,
  at: number,
): Promise<void> {
  const time = String(Math.max(at, signer.validFrom));
  await tools.run(
    [
      ...(['osslsigncode', 'sign', '-h', 'sha256', '-key', KEY, '-certs', CERTIFICATE] as const),
      ...['-time', time, '-in', `${WORK}/${name}`, '-out', `${WORK}/${name}.signed`],
    ],
    dir,
    signer,
  );
  await rename(join(dir, `${name}.signed`), join(dir, name));
}

async function assertPrivate(file: string): Promise<void> {
  const { mode } = await stat(file).catch((cause) => unreadable(file, cause));
  if ((mode & OTHERS) === 0) return;
  throw refused(
    'SECURE_BOOT_KEY_EXPOSED',
    `${file} has the mode ${(mode & 0o777).toString(8).padStart(4, '0')}: others than its owner may use it`,
    `chmod 600 ${file}; if others had access to this machine, make a new key`,
  );
}

function parseKey(pem: Buffer, file: string): KeyObject {
  const why =
    'make one: openssl req -x509 -newkey rsa:2048 -nodes -keyout db.key -out db.crt -days 3650 -subj "/CN=…/"';
  let key: KeyObject;
  try {
    key = createPrivateKey(pem);
  } catch (cause) {
    const locked = pem.includes('ENCRYPTED');
    throw refused(
      'SECURE_BOOT_KEY_INVALID',
      `${file} is no private key in PEM${locked ? ' that can be read without its password' : ''}`,
      locked ? `openssl pkey -in ${file} -out db.key, on a disk that only you read` : why,
      cause,
    );
  }
  const bits = key.asymmetricKeyDetails?.modulusLength ?? 0;
  if (key.asymmetricKeyType === 'rsa' && bits >= LEAST_BITS) return key;
  const kind = `${key.asymmetricKeyType}${bits > 0 ? ` of ${bits} bits` : ''}`;
  throw refused('SECURE_BOOT_KEY_INVALID', `${file} is ${kind}: firmware asks for RSA 2048`, why);
}

function parseCertificate(pem: Buffer, file: string): X509Certificate {
  try {
    return new X509Certificate(pem);
  } catch (cause) {
    throw refused(
      'SECURE_BOOT_KEY_INVALID',
      `${file} is no certificate in PEM`,
      `openssl x509 -inform DER -in ${file} -out db.crt, if it is one in DER`,
      cause,
    );
  }
}

const readPem = (file: string) => readFile(file).catch((cause) => unreadable(file, cause));

function unreadable(file: string, cause: NodeJS.ErrnoException): never {
  throw refused(
    'SECURE_BOOT_KEY_INVALID',
    `${file} cannot be read: ${cause.code}`,
    'name a file that is there: --secure-boot-key and --secure-boot-cert',
    cause,
  );
}

const refused = (code: Code, message: string, hint: string, cause?: unknown): BilletError =>
  new BilletError(code, message, { hint, cause });
