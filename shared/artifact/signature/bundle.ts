// The sigstore bundle v0.3, attached to a manifest as a referrer. A P-256 key signs the manifest's
// bytes (messageSignature); an Ed25519 key signs an in-toto statement about them (DSSE), because
// sigstore's message signatures are prehashed. Formats are @sigstore/bundle's, checks of the
// cryptography @sigstore/verify's; the statement's subject and purpose are checked here.

import {
  BUNDLE_V03_MEDIA_TYPE,
  type Bundle,
  bundleFromJSON,
  bundleToJSON,
  toDSSEBundle,
  toMessageSignatureBundle,
} from '@sigstore/bundle';
import { type TrustMaterial, toSignedEntity, Verifier } from '@sigstore/verify';
import { z } from 'zod';
import { hexOf, sha256 } from '../../digest.ts';
import { BilletError } from '../../errors.ts';
import { MEDIA } from '../oci/media-types.ts';
import { type Descriptor, parseDocument, parseImageManifest } from '../oci/schema.ts';
import {
  type ArtifactSource,
  type ArtifactTarget,
  type ManifestContent,
  readBlob,
} from '../oci/source.ts';
import { readClaims } from './claims.ts';
import type { Evidence } from './evidence.ts';
import type { PublicKey, SigningKey } from './keys.ts';

const BUNDLE_LIMIT_BYTES = 512 * 1024;
const MAX_BUNDLES = 32;
const INTOTO = 'application/vnd.in-toto+json';
/** Says "I release this", as opposed to attestations about it by the same key. */
const PREDICATE = 'https://sigstore.dev/cosign/sign/v1';
const EMPTY = Buffer.from('{}');

const Statement = z.object({
  _type: z.enum(['https://in-toto.io/Statement/v1', 'https://in-toto.io/Statement/v0.1']),
  subject: z.array(z.object({ digest: z.record(z.string(), z.string()) })).min(1),
  predicateType: z.string(),
});

/** Bundles that refer to the manifest; what cannot be read is pushed to `reasons`. */
export async function* readBundles(
  source: ArtifactSource,
  signed: ManifestContent,
  reasons: string[],
): AsyncGenerator<Evidence, void> {
  const referrers = await source.referrers(signed.digest, BUNDLE_V03_MEDIA_TYPE);
  for (const referrer of referrers.slice(0, MAX_BUNDLES))
    try {
      for (const bundle of await bundlesOf(source, referrer))
        yield { form: 'bundle', refute: (key) => refuteBundle(bundle, signed, key) };
    } catch (error) {
      if (!(error instanceof BilletError) || error.retryable) throw error;
      reasons.push(`bundle: ${error.message}`);
    }
}

/** Attaches a bundle by `key`, unless one is there already. */
export async function writeBundle(
  target: ArtifactTarget,
  signed: ManifestContent,
  key: SigningKey,
): Promise<void> {
  for await (const evidence of readBundles(target, signed, []))
    if (evidence.refute(key.public) === null) return;
  const bundle =
    key.public.kind === 'p256' ? messageBundle(signed, key) : statementBundle(signed, key);
  const content = Buffer.from(JSON.stringify(bundleToJSON(bundle)));
  const config = { mediaType: MEDIA.empty, digest: sha256(EMPTY), size: EMPTY.length };
  const layer = { mediaType: BUNDLE_V03_MEDIA_TYPE, digest: sha256(content), size: content.length };
  const manifest = {
    schemaVersion: 2,
    mediaType: MEDIA.manifest,
    artifactType: BUNDLE_V03_MEDIA_TYPE,
    config,
    layers: [layer],
    subject: {
      mediaType: signed.mediaType,
      digest: signed.digest,
      size: signed.bytes.length,
    },
    annotations: contentAnnotations(bundle),
  };
  await target.putBlob(config, () => once(EMPTY));
  await target.putBlob(layer, () => once(content));
  await target.putManifest(Buffer.from(JSON.stringify(manifest)), MEDIA.manifest);
}

/** Reads a bundle from JSON bytes. Throws SIGNATURE_INVALID. */
function parseBundle(bytes: Uint8Array): Bundle {
  try {
    return bundleFromJSON(parseDocument(z.unknown(), bytes, 'the bundle'));
  } catch (cause) {
    throw new BilletError('SIGNATURE_INVALID', `not a sigstore bundle: ${messageOf(cause)}`, {
      hint: 'sign again with `billet module sign`',
      cause,
    });
  }
}

/** Null if `key` signed exactly this manifest in `bundle`; else why not. */
function refuteBundle(bundle: Bundle, signed: ManifestContent, key: PublicKey): string | null {
  try {
    const artifact = Buffer.from(signed.bytes);
    const entity = toSignedEntity(bundle, artifact);
    if (entity.key.$case !== 'public-key') return 'signed by a certificate, not by a key';
    // Log entries and timestamps prove nothing without a trust root; a pinned key needs neither.
    new Verifier(trusting(key), {
      tlogThreshold: 0,
      ctlogThreshold: 0,
      timestampThreshold: 0,
    }).verify({
      ...entity,
      tlogEntries: [],
      timestamps: [],
    });
  } catch {
    return `not signed by ${key.id}`;
  }
  return refuteContent(bundle, signed);
}

function refuteContent(bundle: Bundle, signed: ManifestContent): string | null {
  const hex = hexOf(signed.digest);
  if (bundle.content.$case === 'messageSignature') {
    const claimed = bundle.content.messageSignature.messageDigest.digest.toString('hex');
    return claimed === hex ? null : `the bundle is for sha256:${claimed}`;
  }
  const { payloadType, payload } = bundle.content.dsseEnvelope;
  if (payloadType !== INTOTO) return `a statement of type ${payloadType}`;
  const statement = readClaims(Statement, payload);
  if (statement === null) return 'not an in-toto statement';
  const { predicateType, subject } = statement;
  if (predicateType !== PREDICATE) return `a statement ${predicateType}, which releases nothing`;
  return subject.some(({ digest }) => digest.sha256 === hex)
    ? null
    : 'the statement is about something else';
}

function trusting(key: PublicKey): TrustMaterial {
  return {
    certificateAuthorities: [],
    timestampAuthorities: [],
    tlogs: [],
    ctlogs: [],
    publicKey: () => ({ publicKey: key.key, validFor: () => true }),
  };
}

function messageBundle(signed: ManifestContent, key: SigningKey): Bundle {
  return toMessageSignatureBundle({
    digest: Buffer.from(hexOf(signed.digest), 'hex'),
    signature: Buffer.from(key.sign(signed.bytes)),
    keyHint: key.public.hint,
  });
}

function statementBundle(signed: ManifestContent, key: SigningKey): Bundle {
  const statement = {
    _type: 'https://in-toto.io/Statement/v1',
    subject: [{ digest: { sha256: hexOf(signed.digest) } }],
    predicateType: PREDICATE,
    predicate: {},
  };
  const payload = Buffer.from(JSON.stringify(statement));
  const signature = Buffer.from(key.sign(preAuthEncoding(INTOTO, payload)));
  return toDSSEBundle({
    artifact: payload,
    artifactType: INTOTO,
    signature,
    keyHint: key.public.hint,
  });
}

/** DSSE protocol, "Signature definition": what the key really signs. */
function preAuthEncoding(type: string, payload: Uint8Array): Buffer {
  const head = `DSSEv1 ${Buffer.byteLength(type)} ${type} ${payload.length} `;
  return Buffer.concat([Buffer.from(head), payload]);
}

function contentAnnotations(bundle: Bundle): Record<string, string> {
  return bundle.content.$case === 'messageSignature'
    ? { 'dev.sigstore.bundle.content': 'message-signature' }
    : {
        'dev.sigstore.bundle.content': 'dsse-envelope',
        'dev.sigstore.bundle.predicateType': PREDICATE,
      };
}

async function bundlesOf(source: ArtifactSource, referrer: Descriptor): Promise<Bundle[]> {
  const { bytes, mediaType } = await source.manifest(referrer.digest);
  const { layers } = parseImageManifest(bytes, mediaType, 'the bundle manifest');
  const bundles: Bundle[] = [];
  for (const layer of layers.filter((each) => each.mediaType === BUNDLE_V03_MEDIA_TYPE))
    bundles.push(parseBundle(await readBlob(source, layer, BUNDLE_LIMIT_BYTES)));
  return bundles;
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array, void> {
  yield bytes;
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : 'unknown');
