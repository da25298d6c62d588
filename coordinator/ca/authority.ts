// The certificate authority: an ECDSA P-256 key and its self-signed certificate, made at the first
// start. Signs what the issuers give it; which certificates those are is theirs.

import 'reflect-metadata';
import {
  createPrivateKey,
  X509Certificate as NodeCertificate,
  randomBytes,
  webcrypto,
} from 'node:crypto';
import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  type Extension,
  KeyUsageFlags,
  KeyUsagesExtension,
  type PublicKey,
  SubjectKeyIdentifierExtension,
  X509Certificate,
  X509CertificateGenerator,
  type X509Crl,
  type X509CrlEntryParams,
  X509CrlGenerator,
} from '@peculiar/x509';
import { CA_LIFETIME_MS, CLOCK_SKEW_MS } from '#shared/certificate.ts';
import type { Clock } from '#shared/clock.ts';
import { type Digest, sha256 } from '#shared/digest.ts';
import { pem } from '#shared/pem.ts';
import { Serial } from '#shared/schema/ids.ts';
import type { TrustDomain } from '#shared/spiffe.ts';
import { caInvalid, readKeyFiles, writeKeyFiles } from './key-files.ts';

/** What an issuer decides; issuer, serial, SKI, AKI and "not a CA" are added to it. */
export interface LeafTemplate {
  readonly publicKey: PublicKey | CryptoKey;
  readonly notBefore: number;
  readonly notAfter: number;
  readonly extensions: readonly Extension[];
}

export interface Issued {
  /** PEM of this certificate alone. */
  readonly pem: string;
  readonly serial: Serial;
  readonly notBefore: number;
  readonly notAfter: number;
}

export interface CrlTemplate {
  readonly thisUpdate: number;
  readonly nextUpdate: number;
  readonly entries: X509CrlEntryParams[];
  readonly extensions: Extension[];
}

export interface Authority {
  readonly certificatePem: string;
  readonly certificate: NodeCertificate;
  /** SHA-256 of the certificate's DER: what nodes pin. */
  readonly fingerprint: Digest;
  /** Signs an end-entity certificate with an empty subject. */
  issue(template: LeafTemplate): Promise<Issued>;
  /** DER. */
  signCrl(template: CrlTemplate): Promise<Uint8Array>;
}

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256' } as const;
const SIGNING = { name: 'ECDSA', hash: 'SHA-256' } as const;

/**
 * The CA in `directory`, made there if there is none. CA_INVALID when the key and the certificate are
 * not of each other, the certificate is no CA's or has run out, or others can read the key.
 */
export async function openAuthority(options: {
  directory: string;
  trustDomain: TrustDomain;
  clock: Clock;
}): Promise<Authority> {
  const { directory, clock } = options;
  const files = await readKeyFiles(directory);
  if (files) return authority(directory, files.key, files.certificate, clock.now());
  const made = await makeAuthority(options.trustDomain, clock.now());
  await writeKeyFiles(directory, made);
  return authority(directory, made.key, made.certificate, clock.now());
}

async function makeAuthority(trustDomain: TrustDomain, now: number) {
  const keys = await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
  const certificate = await X509CertificateGenerator.createSelfSigned({
    name: [{ CN: [`Billet CA ${randomBytes(4).toString('hex')}`] }, { O: [trustDomain] }],
    keys,
    signingAlgorithm: SIGNING,
    serialNumber: randomSerial(),
    notBefore: new Date(now - CLOCK_SKEW_MS),
    notAfter: new Date(now + CA_LIFETIME_MS),
    extensions: [
      new BasicConstraintsExtension(true, 0, true),
      new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
      await SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  const pkcs8 = await webcrypto.subtle.exportKey('pkcs8', keys.privateKey);
  return {
    key: pem('PRIVATE KEY', new Uint8Array(pkcs8)),
    certificate: pem('CERTIFICATE', new Uint8Array(certificate.rawData)),
  };
}

async function authority(
  directory: string,
  key: string,
  certificatePem: string,
  now: number,
): Promise<Authority> {
  const { certificate, signingKey } = load(directory, key, certificatePem, now);
  const parsed = new X509Certificate(certificate.raw);
  const authorityKeyId = await AuthorityKeyIdentifierExtension.create(parsed.publicKey);

  return {
    certificatePem,
    certificate,
    fingerprint: sha256(certificate.raw),

    async issue({ publicKey, notBefore, notAfter, extensions }) {
      const serial = randomSerial();
      const leaf = await X509CertificateGenerator.create({
        serialNumber: serial,
        subject: [],
        issuer: parsed.subjectName,
        notBefore: new Date(notBefore),
        notAfter: new Date(notAfter),
        publicKey,
        signingKey,
        signingAlgorithm: SIGNING,
        extensions: [
          new BasicConstraintsExtension(false, undefined, true),
          new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
          authorityKeyId,
          await SubjectKeyIdentifierExtension.create(publicKey),
          ...extensions,
        ],
      });
      return {
        pem: pem('CERTIFICATE', new Uint8Array(leaf.rawData)),
        serial,
        notBefore: leaf.notBefore.getTime(),
        notAfter: leaf.notAfter.getTime(),
      };
    },

    async signCrl({ thisUpdate, nextUpdate, entries, extensions }) {
      const crl: X509Crl = await X509CrlGenerator.create({
        issuer: parsed.subjectName,
        thisUpdate: new Date(thisUpdate),
        nextUpdate: new Date(nextUpdate),
        entries,
        extensions: [authorityKeyId, ...extensions],
        signingAlgorithm: SIGNING,
        signingKey,
      });
      return new Uint8Array(crl.rawData);
    },
  };
}

function load(directory: string, key: string, certificatePem: string, now: number) {
  const restore = `restore ${directory} from a copy; a new CA means that every node enrolls again`;
  try {
    const certificate = new NodeCertificate(certificatePem);
    const privateKey = createPrivateKey(key);
    const wrong =
      (!certificate.checkPrivateKey(privateKey) && 'the key is not that of the certificate') ||
      (!certificate.ca && 'the certificate is not that of a CA') ||
      (!certificate.verify(certificate.publicKey) && 'the certificate is not signed by its key') ||
      (certificate.validToDate.getTime() <= now && 'the certificate has run out') ||
      (privateKey.asymmetricKeyDetails?.namedCurve !== 'prime256v1' && 'the key is not P-256');
    if (wrong) throw caInvalid(`the CA in ${directory} cannot be used: ${wrong}`, restore);
    return { certificate, signingKey: privateKey.toCryptoKey(ALGORITHM, false, ['sign']) };
  } catch (cause) {
    if (cause instanceof Error && 'hint' in cause) throw cause;
    throw caInvalid(`the CA in ${directory} cannot be read`, restore, cause);
  }
}

/** 16 octets, 126 of their bits random: positive and without leading zeros (RFC 5280 §4.1.2.2). */
function randomSerial(): Serial {
  const bytes = randomBytes(16);
  bytes.writeUInt8((bytes.readUInt8(0) & 0x3f) | 0x40, 0);
  return Serial.parse(bytes.toString('hex'));
}
