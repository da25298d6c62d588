// May this closure be a system of this node? Whose signatures vouch for its paths, under the keys of the
// node's own trust policy. Nix checks them again when it takes a path in: this says who is missing, before
// anything is downloaded, and which key may sign a system.
//
//   fingerprint   1;<path>;sha256:<NAR hash, Nix's base 32>;<NAR size>;<references, comma between>
//   signature     <key name>:<base64 of the Ed25519 signature of the fingerprint>
//
// (nix manual, "Store Path Signing"; libstore/path-info.cc)

import { createPublicKey, type KeyObject, verify } from 'node:crypto';
import { BilletError } from '#shared/errors.ts';
import type { NixKey } from '#shared/schema/nix-keys.ts';
import type { PathInfo } from './path-info.ts';

interface Key {
  readonly name: string;
  readonly object: KeyObject;
  readonly systems: boolean;
}

/** What `trusted-public-keys` is set to. */
export const trustedKeys = (keys: readonly NixKey[]): string =>
  keys.map(({ key }) => key).join(' ');

/**
 * Each path has a signature of one of the keys, or an address that is its content; the system has one of
 * a key for systems; all references are among the paths. Throws NIX_SIGNATURE_MISSING,
 * NIX_SIGNATURE_INVALID, NIX_CLOSURE_MISSING.
 */
export function assertSigned(
  system: string,
  closure: readonly PathInfo[],
  trusted: readonly NixKey[],
): void {
  if (trusted.length === 0)
    throw new BilletError(
      'NIX_SIGNATURE_INVALID',
      'the trust policy of this node names no key that may sign NixOS systems',
      { hint: 'add nixKeys to the trust policy: docs/nixos.md shows its form' },
    );
  const paths = new Set(closure.map(({ path }) => path));
  if (!paths.has(system)) throw incomplete(system, system);
  const keys = trusted.map(keyOf);
  for (const info of closure) {
    const missing = info.references.find((reference) => !paths.has(reference));
    if (missing !== undefined) throw incomplete(system, missing);
    assertPath(info, keys, info.path === system);
  }
}

function assertPath(info: PathInfo, keys: readonly Key[], isSystem: boolean): void {
  const { path, signatures, contentAddressed } = info;
  if (contentAddressed && !isSystem) return;
  if (signatures.length === 0)
    throw new BilletError('NIX_SIGNATURE_MISSING', `${path} is signed by nobody`, {
      hint: `sign the closure and copy it again: nix store sign --recursive --key-file KEY ${path}; nix copy --to CACHE ${path}`,
      details: { path },
    });
  const good = keys.filter((key) => signatures.some((text) => isBy(key, text, info)));
  if (good.some(({ systems }) => systems || !isSystem)) return;
  const names = signatures.map((text) => text.split(':')[0] ?? '').join(', ');
  if (good.length > 0)
    throw new BilletError(
      'NIX_SIGNATURE_INVALID',
      `${path} is signed by ${names}, which may not sign systems`,
      {
        hint: 'sign the system with a key that the trust policy names for systems (nix store sign)',
        details: { path, names },
      },
    );
  throw new BilletError(
    'NIX_SIGNATURE_INVALID',
    `${path} is signed by ${names}, and by no key that the trust policy of this node names`,
    {
      hint: 'sign it with a key of the trust policy (nix store sign), or give the node a policy with that key',
      details: { path, names },
    },
  );
}

const incomplete = (system: string, path: string): BilletError =>
  new BilletError('NIX_CLOSURE_MISSING', `${path}, a part of ${system}, is not there`, {
    hint: `copy the whole closure to the cache: nix copy --to CACHE ${system}`,
    details: { path },
  });

/** What a signature of the path is made over. */
export const fingerprint = ({ path, narHash, narSize, references }: PathInfo): string =>
  `1;${path};${nixHash(narHash)};${narSize};${[...references].sort().join(',')}`;

function isBy(key: Key, text: string, info: PathInfo): boolean {
  const colon = text.indexOf(':');
  if (text.slice(0, colon) !== key.name) return false;
  const signature = Buffer.from(text.slice(colon + 1), 'base64');
  return verify(null, Buffer.from(fingerprint(info)), key.object, signature);
}

function keyOf({ key, systems }: NixKey): Key {
  const [name = '', base64 = ''] = key.split(':');
  const x = Buffer.from(base64, 'base64').toString('base64url');
  return {
    name,
    systems,
    object: createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' }),
  };
}

/** From either form that Nix prints to the one of fingerprints: sha256:<base 32>. */
function nixHash(hash: string): string {
  if (hash.startsWith('sha256:')) return hash;
  return `sha256:${base32(Buffer.from(hash.slice('sha256-'.length), 'base64'))}`;
}

const ALPHABET = '0123456789abcdfghijklmnpqrsvwxyz';

/** Nix's own: groups of five bits from the end of the bytes, the last group first. */
export function base32(bytes: Uint8Array): string {
  const length = Math.ceil((bytes.length * 8) / 5);
  let text = '';
  for (let n = length - 1; n >= 0; n--) {
    const bit = n * 5;
    const [index, shift] = [bit >> 3, bit & 7];
    const group = ((bytes[index] ?? 0) >> shift) | ((bytes[index + 1] ?? 0) << (8 - shift));
    text += ALPHABET[group & 31];
  }
  return text;
}
