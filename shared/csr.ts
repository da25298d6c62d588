// A PKCS#10 certificate request (RFC 2986 §4) over node:crypto. Ed25519 (RFC 8410) and P-256.
//
//   SEQUENCE { info, algorithm, BIT STRING signature of info }
//   info = SEQUENCE { version 0, subject Name, SubjectPublicKeyInfo, [0] attributes (none) }

import { type KeyObject, sign } from 'node:crypto';
import { pem } from './pem.ts';

const SEQUENCE = 0x30;
const SET = 0x31;
const ATTRIBUTES = 0xa0;

const tlv = (tag: number, ...parts: Uint8Array[]): Buffer => {
  const content = Buffer.concat(parts);
  const { length } = content;
  const size =
    length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from([tag, ...size]), content]);
};

const VERSION_0 = tlv(0x02, Buffer.from([0]));
const COMMON_NAME = Buffer.from('0603550403', 'hex'); // 2.5.4.3
const ED25519 = tlv(SEQUENCE, Buffer.from('06032b6570', 'hex')); // 1.3.101.112
const ECDSA_SHA256 = tlv(SEQUENCE, Buffer.from('06082a8648ce3d040302', 'hex')); // 1.2.840.10045.4.3.2

const utf8String = (text: string) => tlv(0x0c, Buffer.from(text));
const bitString = (bytes: Uint8Array) => tlv(0x03, Buffer.from([0]), bytes);

/** PEM of a request for `CN=<commonName>`, or for an empty subject, signed by `key`. */
export function createCsr(
  key: { readonly privateKey: KeyObject; readonly publicKey: KeyObject },
  commonName: string | null,
): string {
  const subject =
    commonName === null
      ? tlv(SEQUENCE)
      : tlv(SEQUENCE, tlv(SET, tlv(SEQUENCE, COMMON_NAME, utf8String(commonName))));
  const publicKey = key.publicKey.export({ type: 'spki', format: 'der' });
  const info = tlv(SEQUENCE, VERSION_0, subject, publicKey, tlv(ATTRIBUTES));
  const ed25519 = key.privateKey.asymmetricKeyType === 'ed25519';
  const signature = sign(ed25519 ? null : 'sha256', info, key.privateKey);
  const der = tlv(SEQUENCE, info, ed25519 ? ED25519 : ECDSA_SHA256, bitString(signature));
  return pem('CERTIFICATE REQUEST', der);
}
