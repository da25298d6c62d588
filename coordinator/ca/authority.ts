// One certificate authority: an ECDSA P-256 key and its self-signed certificate. Signs what the
// issuers give it; which certificates those are is theirs, and which authorities there are is of
// authorities.ts.

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
import { type Digest, sha256 } from '#shared/digest.ts';
import { pem } from '#shared/pem.ts';
import { Serial } from '#shared/schema/ids.ts';
import type { TrustDomain } from '#shared/spiffe.ts';
import { caInvalid, type KeyFiles } from './key-files.ts';

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
  /** Fingerprint of the CA that signed it. */
  readonly ca: Digest;
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
  /** Signs the key and name of another CA, for as long as both last: PEM. */
  crossSign(other: NodeCertificate): Promise<string>;
  /** Signs an end-entity certificate with an empty subject. */
  issue(template: LeafTemplate): Promise<Issued>;
  /** DER. */
  signCrl(template: CrlTemplate): Promise<Uint8Array>;
}

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256' } as const;
const SIGNING = { name: 'ECDSA', hash: 'SHA-256' } as const;
/** A CA that signs leaves, lists of revoked ones, and no other CA. */
const CA_EXTENSIONS: readonly Extension[] = [
  new BasicConstraintsExtension(true, 0, true),
  new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
];

/**
 * Key and certificate of a new CA. One that follows another bears its name: its cross-certificate is
 * then self-issued, and does not count against the path length of the other (RFC 5280 §6.1.4 (l),
 * RFC 4210 §4.4.1).
 */
export async function makeAuthority(
  trustDomain: TrustDomain,
  now: number,
  before: NodeCertificate | null = null,
): Promise<KeyFiles> {
  const keys = await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
  const certificate = await X509CertificateGenerator.createSelfSigned({
    name: before
      ? new X509Certificate(before.raw).subjectName.toJSON()
      : [{ CN: [`Billet CA ${randomBytes(4).toString('hex')}`] }, { O: [trustDomain] }],
    keys,
    signingAlgorithm: SIGNING,
    serialNumber: randomSerial(),
    notBefore: new Date(now - CLOCK_SKEW_MS),
    notAfter: new Date(now + CA_LIFETIME_MS),
    extensions: [...CA_EXTENSIONS, await SubjectKeyIdentifierExtension.create(keys.publicKey)],
  });
  const pkcs8 = await webcrypto.subtle.exportKey('pkcs8', keys.privateKey);
  return {
    key: pem('PRIVATE KEY', new Uint8Array(pkcs8)),
    certificate: pem('CERTIFICATE', new Uint8Array(certificate.rawData)),
    cross: null,
  };
}

/**
 * The CA of these files. CA_INVALID, naming `where`, when key and certificate are not of each other,
 * or the certificate is no CA's.
 */
export async function loadAuthority(
  where: string,
  { key, certificate: certificatePem }: KeyFiles,
): Promise<Authority> {
  const { certificate, signingKey } = load(where, key, certificatePem);
  const fingerprint = sha256(certificate.raw);
  const parsed = new X509Certificate(certificate.raw);
  const authorityKeyId = await AuthorityKeyIdentifierExtension.create(parsed.publicKey);

  return {
    certificatePem,
    certificate,
    fingerprint,

    async crossSign(other) {
      const theirs = new X509Certificate(other.raw);
      const made = await X509CertificateGenerator.create({
        serialNumber: randomSerial(),
        subject: theirs.subjectName,
        issuer: parsed.subjectName,
        notBefore: theirs.notBefore,
        notAfter: theirs.notAfter < parsed.notAfter ? theirs.notAfter : parsed.notAfter,
        publicKey: theirs.publicKey,
        signingKey,
        signingAlgorithm: SIGNING,
        extensions: [
          ...CA_EXTENSIONS,
          authorityKeyId,
          await SubjectKeyIdentifierExtension.create(theirs.publicKey),
        ],
      });
      return pem('CERTIFICATE', new Uint8Array(made.rawData));
    },

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
        ca: fingerprint,
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

/** CA_INVALID when it has run out, or the clock stands before its beginning: it issues nothing now. */
export function assertCurrent(where: string, { certificate }: Authority, now: number): void {
  const { validFromDate, validToDate } = certificate;
  if (validToDate.getTime() <= now)
    throw caInvalid(
      `the CA in ${where} cannot be used: the certificate has run out`,
      `move ${where} away: a new CA is made, and every node enrolls again; next time: billet ca rotate`,
    );
  // Nothing is wrong with it: the clock stands before the day on which it was made.
  if (validFromDate.getTime() > now)
    throw caInvalid(
      `the CA in ${where} begins at ${validFromDate.toISOString()}, after the time here`,
      'set the clock of this machine: date; timedatectl',
    );
}

function load(where: string, key: string, certificatePem: string) {
  const restore = `restore ${where} from a copy; a new CA means that every node enrolls again`;
  try {
    const certificate = new NodeCertificate(certificatePem);
    const privateKey = createPrivateKey(key);
    const wrong =
      (!certificate.checkPrivateKey(privateKey) && 'the key is not that of the certificate') ||
      (!certificate.ca && 'the certificate is not that of a CA') ||
      (!certificate.verify(certificate.publicKey) && 'the certificate is not signed by its key') ||
      (privateKey.asymmetricKeyDetails?.namedCurve !== 'prime256v1' && 'the key is not P-256');
    if (wrong) throw caInvalid(`the CA in ${where} cannot be used: ${wrong}`, restore);
    return { certificate, signingKey: privateKey.toCryptoKey(ALGORITHM, false, ['sign']) };
  } catch (cause) {
    if (cause instanceof Error && 'hint' in cause) throw cause;
    throw caInvalid(`the CA in ${where} cannot be read`, restore, cause);
  }
}

/** 16 octets, 126 of their bits random: positive and without leading zeros (RFC 5280 §4.1.2.2). */
function randomSerial(): Serial {
  const bytes = randomBytes(16);
  bytes.writeUInt8((bytes.readUInt8(0) & 0x3f) | 0x40, 0);
  return Serial.parse(bytes.toString('hex'));
}
