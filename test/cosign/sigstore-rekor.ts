// A Rekor of the tests' own: a Merkle tree in memory (RFC 6962) that signs when it got an entry, and
// proves that it is there. Speaks the first version of Rekor's API (rekor, openapi.yaml) for
// hashedrekord and dsse entries, as cosign 2.5 does.

import {
  createHash,
  createPublicKey,
  generateKeyPairSync,
  sign,
  X509Certificate,
} from 'node:crypto';
import { contentOfDigest } from '../../shared/artifact/signature/prehashed.ts';
import type { Clock } from '../../shared/clock.ts';
import { type Digest, digestOfHex } from '../../shared/digest.ts';

/** As if the log had existed before: proofs are then longer than nothing. */
const EARLIER_ENTRIES = 5;
const TREE_ID = '0123456789abcdef';

export interface Rekor {
  readonly publicPem: string;
  /** Added to the time of an entry. */
  offsetMs: number;
  /** POST /api/v1/log/entries: the reply, or null for an entry whose signature is not one. */
  add(body: Buffer): Added | null;
  /** What no honest log does: an entry that nobody looked at. */
  append(canonical: Buffer): Added;
}

/** `reply` has one member, named `uuid`. */
export interface Added {
  readonly uuid: string;
  readonly reply: Readonly<Record<string, LogEntry>>;
}

/** rekor, openapi.yaml: LogEntry. */
export interface LogEntry {
  readonly body: string;
  readonly integratedTime: number;
  readonly logID: string;
  readonly logIndex: number;
  readonly verification: {
    readonly signedEntryTimestamp: string;
    readonly inclusionProof: {
      readonly checkpoint: string;
      readonly hashes: readonly string[];
      readonly logIndex: number;
      readonly rootHash: string;
      readonly treeSize: number;
    };
  };
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
      return canonical === null ? null : self.append(canonical);
    },
    append(canonical) {
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

/** With sorted keys (RFC 8785), after a look at the signature, as Rekor does. */
function canonicalEntry(bytes: Buffer): Buffer | null {
  const { kind, apiVersion, spec } = JSON.parse(bytes.toString());
  const canonical =
    kind === 'dsse' ? statementSpec(spec) : kind === 'hashedrekord' ? recordSpec(spec) : null;
  if (canonical === null || apiVersion !== '0.0.1') return null;
  return Buffer.from(JSON.stringify({ apiVersion, kind, spec: canonical }));
}

/** rekor, pkg/types/hashedrekord/v0.0.1. */
function recordSpec({ data, signature }: Record<string, unknown>): object | null {
  const { content, publicKey } = signature as { content: string; publicKey: { content: string } };
  const { algorithm, value } = (data as { hash: { algorithm: string; value: string } }).hash;
  if (algorithm !== 'sha256' || !isSigned(digestOfHex(value), content, publicKey.content))
    return null;
  return {
    data: { hash: { algorithm, value } },
    signature: { content, publicKey: { content: publicKey.content } },
  };
}

/** rekor, pkg/types/dsse/v0.0.1. */
function statementSpec({ proposedContent }: Record<string, unknown>): object | null {
  const { envelope, verifiers } = proposedContent as { envelope: string; verifiers: [string] };
  const { payloadType, payload, signatures } = JSON.parse(envelope);
  const body = Buffer.from(payload, 'base64');
  const head = Buffer.from(`DSSEv1 ${payloadType.length} ${payloadType} ${body.length} `);
  const [signature, verifier] = [signatures[0].sig, verifiers[0]];
  const signed = digestOfHex(sha256(head, body).toString('hex'));
  if (!isSigned(signed, signature, verifier)) return null;
  const hashOf = (part: Buffer) => ({ algorithm: 'sha256', value: sha256(part).toString('hex') });
  return {
    envelopeHash: hashOf(Buffer.from(envelope)),
    payloadHash: hashOf(body),
    signatures: [{ signature, verifier }],
  };
}

/** `verifier`: a certificate or public key, its PEM in base64. */
function isSigned(digest: Digest, signature: string, verifier: string): boolean {
  const pem = Buffer.from(verifier, 'base64').toString();
  const key = pem.includes('CERTIFICATE')
    ? new X509Certificate(pem).publicKey
    : createPublicKey(pem);
  return contentOfDigest(digest).verify(key, Buffer.from(signature, 'base64'));
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
