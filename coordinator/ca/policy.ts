// Which certificate requests are granted. Pure: parsing and proof of possession come before it, the
// certificate after; nothing of the request but its key goes into the certificate.

/** A request as csr.ts reads it; nothing in it is believed. */
export interface CsrRequest {
  readonly publicKey: { readonly type: string; readonly curve?: string };
  /** Attributes of the subject in order, e.g. { type: 'CN', value: 'i-…' }. */
  readonly subject: readonly { readonly type: string; readonly value: string }[];
  /** Names of subjectAltName, e.g. { type: 'url', value: 'spiffe://…' }. */
  readonly sans: readonly { readonly type: string; readonly value: string }[];
  /** OIDs of the extensions asked for. */
  readonly extensions: readonly string[];
  /** OIDs of the attributes (RFC 2986 §4). */
  readonly attributes: readonly string[];
}

/** Who the request comes from, as the token or the older certificate proves. */
export interface CsrOrigin {
  readonly instance: string;
  /** The URI that this instance may bear. */
  readonly uri: string;
}

export type CsrDecision = { readonly allowed: true } | { readonly allowed: false; reason: string };

const SUBJECT_ALT_NAME = '2.5.29.17';
/** pkcs-9-at-extensionRequest (RFC 2985 §5.4.2). */
const EXTENSION_REQUEST = '1.2.840.113549.1.9.14';

/** Every rule, in order; the first that fails gives the reason. */
export function decideCsr(request: CsrRequest, origin: CsrOrigin): CsrDecision {
  for (const rule of [keyRule, subjectRule, extensionRule, sanRule]) {
    const reason = rule(request, origin);
    if (reason !== null) return { allowed: false, reason };
  }
  return { allowed: true };
}

type Rule = (request: CsrRequest, origin: CsrOrigin) => string | null;

const keyRule: Rule = ({ publicKey: { type, curve } }) => {
  if (type === 'ed25519' || (type === 'ec' && curve === 'P-256')) return null;
  return `a key of type ${type}${curve ? ` on ${curve}` : ''}; Ed25519 or P-256 is wanted`;
};

const subjectRule: Rule = ({ subject }, { instance }) => {
  const [first, ...more] = subject;
  if (!first) return null;
  if (more.length === 0 && first.type === 'CN' && first.value === instance) return null;
  return `a subject other than none or CN=${instance}`;
};

const extensionRule: Rule = ({ extensions, attributes }) => {
  const attribute = attributes.find((oid) => oid !== EXTENSION_REQUEST);
  if (attribute) return `an attribute that is not allowed: ${attribute}`;
  const extension = extensions.find((oid) => oid !== SUBJECT_ALT_NAME);
  if (extension) return `an extension that is not allowed: ${extension}`;
  return extensions.length > 1 || attributes.length > 1 ? 'an extension asked for twice' : null;
};

const sanRule: Rule = ({ sans }, { uri }) => {
  const own = sans.length === 1 && sans[0]?.type === 'url' && sans[0].value === uri;
  return sans.length === 0 || own ? null : `an alternative name other than none or ${uri}`;
};
