// Writes a variable store of OVMF in which Secure Boot is on, with keys of our own: what an operator does
// in the setup of a server. Starts no firmware.
//
//   flash = firmware volume header | variable store header | variable… | 0xff…     (EDK II, VariableFormat.h)
//   variable = AUTHENTICATED_VARIABLE_HEADER | name, UTF-16 | data; each starts at a multiple of 4
//   data of PK, KEK and db = EFI_SIGNATURE_LIST with one X.509 certificate        (UEFI 2.10 §32.4.1)

import { X509Certificate } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';

const GLOBAL = '8be4df61-93ca-11d2-aa0d-00e098032b8c';
const IMAGE_SECURITY = 'd719b2cb-3d3a-4596-a3bc-dad00e67656f';
const CERT_X509 = 'a5c059a1-94e4-4aa7-87b5-ab155c2bf072';
const OWNER = '6f6e6c79-2066-6f72-2074-657374730a0a';

const STORE_HEADER_BYTES = 28;
const VARIABLE_HEADER_BYTES = 60;
const START_ID = 0x55aa;
const ADDED = 0x3f;
/** Non-volatile, in boot services, at run time, time-based authenticated write access. */
const ATTRIBUTES = 0x27;
const ERASED = 0xff;

export interface Enrolled {
  /** Certificates in PEM: who may change the keys, who may change db, whose programs start. */
  readonly pk: string;
  readonly kek: string;
  readonly db: string;
}

/** `template` is the empty store that comes with OVMF; `out` gets one with the three keys. */
export async function writeSecureBootVars(
  template: string,
  keys: Enrolled,
  out: string,
): Promise<void> {
  const flash = await readFile(template);
  const store = flash.readUInt16LE(0x30); // HeaderLength of the firmware volume
  let at = store + STORE_HEADER_BYTES;
  if (flash[at] !== ERASED) throw new TypeError(`${template} is not empty`);
  for (const [name, vendor, certificate] of [
    ['PK', GLOBAL, keys.pk],
    ['KEK', GLOBAL, keys.kek],
    ['db', IMAGE_SECURITY, keys.db],
  ] as const) {
    const bytes = variable(name, vendor, signatureList(await readFile(certificate, 'utf8')));
    bytes.copy(flash, at);
    at += Math.ceil(bytes.length / 4) * 4;
  }
  await writeFile(out, flash);
}

function variable(name: string, vendor: string, data: Buffer): Buffer {
  const text = Buffer.from(`${name}\0`, 'utf16le');
  const header = Buffer.alloc(VARIABLE_HEADER_BYTES);
  header.writeUInt16LE(START_ID, 0);
  header.writeUInt8(ADDED, 2);
  header.writeUInt32LE(ATTRIBUTES, 4);
  header.writeUInt16LE(2020, 16); // EFI_TIME of the last write: year, month, day
  header.writeUInt8(1, 18);
  header.writeUInt8(1, 19);
  header.writeUInt32LE(text.length, 36);
  header.writeUInt32LE(data.length, 40);
  guid(vendor).copy(header, 44);
  return Buffer.concat([header, text, data]);
}

function signatureList(pem: string): Buffer {
  const der = new X509Certificate(pem).raw;
  const sizes = Buffer.alloc(12);
  sizes.writeUInt32LE(28 + 16 + der.length, 0);
  sizes.writeUInt32LE(16 + der.length, 8);
  return Buffer.concat([guid(CERT_X509), sizes, guid(OWNER), der]);
}

/** Three numbers with their low bytes first, then bytes in order (UEFI 2.10, appendix A). */
function guid(text: string): Buffer {
  const bytes = Buffer.from(text.replaceAll('-', ''), 'hex');
  bytes.subarray(0, 4).reverse();
  bytes.subarray(4, 6).reverse();
  bytes.subarray(6, 8).reverse();
  return bytes;
}
