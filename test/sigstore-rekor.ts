// A Rekor of the tests' own: a Merkle tree in memory (RFC 6962) that signs when it got an entry, and
// proves that it is there. Speaks the first version of Rekor's API (rekor, openapi.yaml) for
// hashedrekord entries, as cosign 2.5 does.

import {
  createHash,
  createPublicKey,
  generateKeyPairSync,
  sign,
  X509Certificate,
} from 'node:crypto';
import { contentOfDigest } from '../shared/artifact/signature/prehashed.ts';
import type { Clock } from '../shared/clock.ts';
import { digestOfHex } from '../shared/digest.ts';

/** As if the log had existed before: proofs are then longer than nothing. */
const EARLIER_ENTRIES = 5;
const TREE_ID = '0123456789abcdef';

export interface Rekor {
  readonly publicPem: string;
  /** Added to the time of an entry. */
  offsetMs: number;
  /** POST /api/v1/log/entries: the reply, or null for an entry whose signature is not one. */
  add(body: Buffer): { readonly uuid: string; readonly reply: object } | null;
}

export function makeRekor(clock: Clock, origin: string): Rekor {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const spki = publicKey.export({ type: 'spki', format: 'der' });
  const logId = createHash('sha256').update(spki).digest();
  const leaves = Array.from({ length: EARLIER_ENTRIES }, (_, i) => leafHash(Buffer.from([i])));
  const signed = (text: string) => sign('sha256', Buffer.from(text), privateKey);

  /** A signed note (transparency-dev/formats, log/README.md). */
  const checkpoint = (): string => {
    const note = `${origin} - ${BigInt(`0x${TREE_ID}`)}\n${leaves.length}\n${root(leaves).toString('base64')}\n`;
    const signature = Buffer.concat([logId.subarray(0, 4), signed(note)]);
    return `${note}\n— ${origin} ${signature.toString('base64')}\n`;
  };
  const self: Rekor = {
    publicPem: publicKey.export({ type: 'spki', format: 'pem' }).toString(),
    offsetMs: 0,
    add(bytes) {
      const canonical = canonicalEntry(bytes);
      if (canonical === null) return null;
      const hash = leafHash(canonical);
      const logIndex = leaves.push(hash) - 1;
      const body = canonical.toString('base64');
      const integratedTime = Math.floor((clock.now() + self.offsetMs) / 1000);
      const logID = logId.toString('hex');
      const promise = signed(JSON.stringify({ body, integratedTime, logID, logIndex }));
      const inclusionProof = {
        checkpoint: checkpoint(),
        hashes: proof(leaves, logIndex).map((each) => each.toString('hex')),
        logIndex,
        rootHash: root(leaves).toString('hex'),
        treeSize: leaves.length,
      };
      const signedEntryTimestamp = promise.toString('base64');
      const uuid = `${TREE_ID}${hash.toString('hex')}`;
      const verification = { inclusionProof, signedEntryTimestamp };
      return { uuid, reply: { [uuid]: { body, integratedTime, logID, logIndex, verification } } };
    },
  };
  return self;
}

/** hashedrekord 0.0.1 with sorted keys (RFC 8785), after a look at the signature, as Rekor does. */
function canonicalEntry(bytes: Buffer): Buffer | null {
  const { kind, apiVersion, spec } = JSON.parse(bytes.toString());
  const { content, publicKey } = spec.signature;
  const { algorithm, value } = spec.data.hash;
  if (kind !== 'hashedrekord' || apiVersion !== '0.0.1' || algorithm !== 'sha256') return null;
  const pem = Buffer.from(publicKey.content, 'base64').toString();
  const key = pem.includes('CERTIFICATE')
    ? new X509Certificate(pem).publicKey
    : createPublicKey(pem);
  const signature = Buffer.from(content, 'base64');
  if (!contentOfDigest(digestOfHex(value)).verify(key, signature)) return null;
  return Buffer.from(
    JSON.stringify({
      apiVersion,
      kind,
      spec: {
        data: { hash: { algorithm, value } },
        signature: { content, publicKey: { content: publicKey.content } },
      },
    }),
  );
}

const sha256 = (...parts: readonly Buffer[]) =>
  parts.reduce((hash, part) => hash.update(part), createHash('sha256')).digest();
const leafHash = (entry: Buffer) => sha256(Buffer.from([0]), entry);
const nodeHash = (left: Buffer, right: Buffer) => sha256(Buffer.from([1]), left, right);

/** RFC 6962, 2.1: the largest power of two smaller than `n`. */
const splitAt = (n: number) => 2 ** Math.floor(Math.log2(n - 1));

function root(leaves: readonly Buffer[]): Buffer {
  const [only] = leaves;
  if (leaves.length === 1 && only !== undefined) return only;
  const k = splitAt(leaves.length);
  return nodeHash(root(leaves.slice(0, k)), root(leaves.slice(k)));
}

/** RFC 6962, 2.1.1: the audit path, from the leaf up. */
function proof(leaves: readonly Buffer[], index: number): Buffer[] {
  if (leaves.length === 1) return [];
  const k = splitAt(leaves.length);
  return index < k
    ? [...proof(leaves.slice(0, k), index), root(leaves.slice(k))]
    : [...proof(leaves.slice(k), index - k), root(leaves.slice(0, k))];
}
