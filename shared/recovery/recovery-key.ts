// The recovery key of an encrypted disk: how it is written, and how it is sealed to the operator's
// public key, so that nobody on the way reads it, the coordinator included. Keeps nothing.

import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
} from 'node:crypto';
import { BilletError } from '../errors.ts';
import { AEADS, openBase, sealBase } from './hpke.ts';

/** As systemd's recovery keys (systemd-cryptenroll(1)): letters that every keyboard has in one place. */
const MODHEX = 'cbdefghijklnrtuv';
const KEY_BYTES = 32;
const GROUP = 8;
const CONTEXT = { aead: AEADS.aes256, info: Buffer.from('dev.billet.recovery-key/1') };

/** 256 bits in eight groups of eight letters. */
export function makeRecoveryKey(bytes: Uint8Array = randomBytes(KEY_BYTES)): string {
  const digits = [...Buffer.from(bytes).toString('hex')];
  return grouped(digits.map((digit) => MODHEX[Number.parseInt(digit, 16)]).join(''));
}

/** As it is written, whatever case, blanks and dashes a person typed. Null when it is none. */
export function normalizeRecoveryKey(text: string): string | null {
  const letters = text.toLowerCase().replace(/[\s-]/g, '');
  const whole = letters.length === KEY_BYTES * 2 && [...letters].every((c) => MODHEX.includes(c));
  return whole ? grouped(letters) : null;
}

const grouped = (letters: string): string =>
  (letters.match(new RegExp(`.{${GROUP}}`, 'g')) ?? []).join('-');

/**
 * HPKE (RFC 9180) to an X25519 public key, SPKI in PEM; base64. Each call gives another text. Throws
 * RECOVERY_KEY_INVALID for a recipient that is no such key.
 */
export function sealRecoveryKey(key: string, recipientPem: string): string {
  const recipient = x25519('public', () => createPublicKey(recipientPem));
  const { privateKey } = generateKeyPairSync('x25519');
  return sealBase(CONTEXT, recipient, privateKey, Buffer.from(key)).toString('base64');
}

/**
 * Opens what `sealRecoveryKey` gave, with the private half (PKCS #8 in PEM). Throws RECOVERY_KEY_INVALID
 * for a key that cannot be read, RECOVERY_KEY_WRONG when it was sealed to another one, or altered.
 */
export function openRecoveryKey(sealed: string, privatePem: string): string {
  const recipient = x25519('private', () => createPrivateKey(privatePem));
  try {
    return openBase(CONTEXT, recipient, Buffer.from(sealed, 'base64')).toString('utf8');
  } catch (cause) {
    throw new BilletError('RECOVERY_KEY_WRONG', 'this private key does not open the recovery key', {
      hint: 'use the private half of the key that is recoveryRecipient in the install plan',
      cause,
    });
  }
}

function x25519(half: 'public' | 'private', read: () => KeyObject): KeyObject {
  let why: unknown;
  try {
    const key = read();
    if (key.asymmetricKeyType === 'x25519') return key;
    why = new TypeError(`it is of type ${key.asymmetricKeyType}`);
  } catch (cause) {
    why = cause;
  }
  const said = why instanceof Error ? why.message : String(why);
  throw new BilletError('RECOVERY_KEY_INVALID', `no ${half} X25519 key in PEM: ${said}`, {
    hint: 'openssl genpkey -algorithm X25519 -out recovery.key; openssl pkey -in recovery.key -pubout',
    cause: why,
  });
}
