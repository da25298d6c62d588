// A Fulcio of the tests' own with its certificate transparency log: for whoever has a token of the
// tests' OpenID Connect issuer it makes a certificate of ten minutes. Speaks the first version of
// Fulcio's API (fulcio, docs/how-certificate-issuing-works.md), as cosign 2.5 does.

import 'reflect-metadata';
import {
  createHash,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  sign,
  verify,
  webcrypto,
} from 'node:crypto';
import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  ExtendedKeyUsageExtension,
  Extension,
  KeyUsageFlags,
  KeyUsagesExtension,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  type X509Certificate,
  X509CertificateGenerator,
} from '@peculiar/x509';
import type { Clock } from '../../shared/clock.ts';

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
const LIFETIME_MS = 10 * 60_000;
const CODE_SIGNING = '1.3.6.1.5.5.7.3.3';

/** What of a certificate a test may want otherwise. */
export interface FulcioFaults {
  usage?: string;
  withoutSct?: boolean;
}

export interface Fulcio {
  /** The certificate authority's, PEM. */
  readonly root: string;
  readonly ctPublic: string;
  readonly faults: FulcioFaults;
  /** POST /api/v1/signingCert with its bearer token: certificates in PEM, or null for a refusal. */
  signingCert(token: string, body: Buffer): Promise<string | null>;
}

/** OpenID Connect Core, "ID Token": claims that Fulcio reads. */
export interface Claims {
  readonly iss: string;
  readonly sub: string;
  readonly email?: string;
  readonly email_verified?: boolean;
}

export async function makeFulcio(clock: Clock, issuerKey: KeyObject): Promise<Fulcio> {
  const ca = await makeAuthority(clock);
  const ct = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const faults: FulcioFaults = {};
  return {
    root: ca.certificate.toString('pem'),
    ctPublic: ct.publicKey.export({ type: 'spki', format: 'pem' }).toString(),
    faults,
    async signingCert(token, body) {
      const claims = verifiedClaims(token, issuerKey);
      if (claims === null) return null;
      const { publicKey, signedEmailAddress } = JSON.parse(body.toString());
      // PEM, in base64.
      const key = createPublicKey(Buffer.from(publicKey.content, 'base64'));
      const spki = key.export({ type: 'spki', format: 'der' });
      const subject = claims.email ?? claims.sub;
      const possession = Buffer.from(signedEmailAddress, 'base64');
      if (!verify('sha256', Buffer.from(subject), key, possession)) return null;
      const leaf = await issue(ca, ct.privateKey, { claims, spki, clock, faults });
      return `${leaf.toString('pem')}\n${ca.certificate.toString('pem')}\n`;
    },
  };
}

interface Authority {
  readonly certificate: X509Certificate;
  readonly keys: { readonly publicKey: CryptoKey; readonly privateKey: CryptoKey };
}

async function makeAuthority(clock: Clock): Promise<Authority> {
  const keys = await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
  const certificate = await X509CertificateGenerator.createSelfSigned({
    name: 'CN=Fulcio of the tests,O=billet',
    serialNumber: '01',
    notBefore: new Date(clock.now() - 86_400_000),
    notAfter: new Date(clock.now() + 86_400_000),
    keys,
    signingAlgorithm: ALGORITHM,
    extensions: [
      new BasicConstraintsExtension(true, 0, true),
      new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
      await SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return { certificate, keys };
}

/** The log's timestamp is inside, so that it is made over the certificate without it (RFC 6962, 3.2). */
async function issue(
  ca: Authority,
  ctKey: KeyObject,
  from: { claims: Claims; spki: Buffer; clock: Clock; faults: FulcioFaults },
): Promise<X509Certificate> {
  const { claims, spki, clock, faults } = from;
  const subjectKey = await webcrypto.subtle.importKey(
    'spki',
    new Uint8Array(spki),
    ALGORITHM,
    true,
    ['verify'],
  );
  const now = Math.floor(clock.now() / 1000) * 1000;
  const names =
    claims.email === undefined
      ? { type: 'url' as const, value: claims.sub }
      : { type: 'email' as const, value: claims.email };
  const extensions = [
    new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
    new ExtendedKeyUsageExtension([faults.usage ?? CODE_SIGNING]),
    await SubjectKeyIdentifierExtension.create(subjectKey),
    await AuthorityKeyIdentifierExtension.create(ca.keys.publicKey),
    new SubjectAlternativeNameExtension([names], true),
    // fulcio, docs/oid-info.md: issuer, as it was and as DER.
    new Extension('1.3.6.1.4.1.57264.1.1', false, Buffer.from(claims.iss)),
    new Extension('1.3.6.1.4.1.57264.1.8', false, der(0x0c, Buffer.from(claims.iss))),
  ];
  const build = (all: readonly Extension[]) =>
    X509CertificateGenerator.create({
      serialNumber: createHash('sha256').update(spki).digest('hex').slice(0, 30),
      issuer: ca.certificate.subject,
      notBefore: new Date(now),
      notAfter: new Date(now + LIFETIME_MS),
      publicKey: subjectKey,
      signingKey: ca.keys.privateKey,
      signingAlgorithm: ALGORITHM,
      extensions: [...all],
    });
  const bare = await build(extensions);
  if (faults.withoutSct === true) return bare;
  const caSpki = Buffer.from(await webcrypto.subtle.exportKey('spki', ca.keys.publicKey));
  const list = timestampList(ctKey, caSpki, tbsOf(Buffer.from(bare.rawData)), now);
  return build([...extensions, new Extension('1.3.6.1.4.1.11129.2.4.2', false, der(0x04, list))]);
}

/** RFC 6962, 3.2 and 3.3: one timestamp over a precertificate, in the list that certificates hold. */
function timestampList(key: KeyObject, issuer: Buffer, tbs: Buffer, now: number): Buffer {
  const time = Buffer.alloc(8);
  time.writeBigUInt64BE(BigInt(now));
  const signed = Buffer.concat([
    Buffer.from([0, 0]),
    time,
    Buffer.from([0, 1]),
    createHash('sha256').update(issuer).digest(),
    sized(tbs, 3),
    Buffer.from([0, 0]),
  ]);
  const spki = createPublicKey(key as never).export({ type: 'spki', format: 'der' });
  const timestamp = Buffer.concat([
    Buffer.from([0]),
    createHash('sha256').update(spki).digest(),
    time,
    Buffer.from([0, 0, 4, 3]),
    sized(sign('sha256', signed, key), 2),
  ]);
  return sized(sized(timestamp, 2), 2);
}

/** RFC 8446, 3.4: a vector with its length in front. */
function sized(bytes: Buffer, lengthBytes: number): Buffer {
  const head = Buffer.alloc(lengthBytes);
  head.writeUIntBE(bytes.length, 0, lengthBytes);
  return Buffer.concat([head, bytes]);
}

function der(tag: number, content: Buffer): Buffer {
  const { length } = content;
  const head =
    length < 128 ? [length] : length < 256 ? [0x81, length] : [0x82, length >> 8, length & 255];
  return Buffer.concat([Buffer.from([tag, ...head]), content]);
}

/** The first element of a certificate, whole. */
function tbsOf(certificate: Buffer): Buffer {
  const header = (at: number) => {
    const first = certificate[at + 1] ?? 0;
    const more = first < 128 ? 0 : first & 127;
    const length = more === 0 ? first : certificate.readUIntBE(at + 2, more);
    return { start: at + 2 + more, length };
  };
  const { start } = header(0);
  const inner = header(start);
  return certificate.subarray(start, inner.start + inner.length);
}

/** RFC 7515, ES256: a token of the tests' issuer, or null. */
function verifiedClaims(token: string, issuerKey: KeyObject): Claims | null {
  const [head = '', body = '', signature = ''] = token.split('.');
  const good = verify(
    'sha256',
    Buffer.from(`${head}.${body}`),
    { key: issuerKey, dsaEncoding: 'ieee-p1363' },
    Buffer.from(signature, 'base64url'),
  );
  return good ? JSON.parse(Buffer.from(body, 'base64url').toString()) : null;
}
