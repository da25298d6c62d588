// The node's private key: made once, kept in one file of mode 0600. Never leaves the machine.

import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
} from 'node:crypto';
import { join } from 'node:path';
import { BilletError } from '#shared/errors.ts';
import { writeFileAtomic } from '../drivers/files.ts';
import { textOrNull } from './source-file.ts';

export interface NodeKey {
  readonly privateKey: KeyObject;
  readonly publicKey: KeyObject;
  /** PKCS#8. */
  readonly pem: string;
}

const FILE = 'key.pem';

export const keyPath = (dir: string): string => join(dir, FILE);

/** The key in `dir`, or null. Throws CONFIG_INVALID when the file holds no Ed25519 or P-256 key. */
export async function loadKey(dir: string): Promise<NodeKey | null> {
  const pem = await textOrNull(keyPath(dir));
  return pem === null ? null : parseKey(pem, keyPath(dir));
}

/** The key in `dir`; a new Ed25519 one, durable before this returns, if there is none. */
export async function loadOrCreateKey(dir: string): Promise<NodeKey> {
  const found = await loadKey(dir);
  if (found) return found;
  const { privateKey } = generateKeyPairSync('ed25519');
  const pem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  await writeFileAtomic(keyPath(dir), pem, { mode: 0o600 });
  return parseKey(pem, keyPath(dir));
}

function parseKey(pem: string, path: string): NodeKey {
  try {
    const privateKey = createPrivateKey(pem);
    const { namedCurve } = privateKey.asymmetricKeyDetails ?? {};
    if (privateKey.asymmetricKeyType === 'ed25519' || namedCurve === 'prime256v1')
      return { privateKey, publicKey: createPublicKey(privateKey), pem };
  } catch (cause) {
    throw invalid(path, cause);
  }
  throw invalid(path, undefined);
}

function invalid(path: string, cause: unknown): BilletError {
  return new BilletError('CONFIG_INVALID', `${path} holds no Ed25519 or P-256 private key`, {
    hint: `remove ${path} and give the machine a new token: billet token create`,
    cause,
  });
}
