// Why a TLS handshake was refused on this side, in words that name what to do: clocks that are apart,
// a CA that is not the one that is trusted. Codes are OpenSSL's, as Node names them.

const CLOCKS = 'compare the clocks of both machines: date -u';
const ANOTHER_CA =
  'its CA is none that is trusted here. If it was rotated: `billet ca trust` for a command line, fresh boot parameters for a node; if not, somebody may stand between';

const HINTS: Readonly<Record<string, string>> = {
  CERT_NOT_YET_VALID: `its certificate begins after the time here; ${CLOCKS}`,
  CERT_HAS_EXPIRED: `its certificate ended before the time here; ${CLOCKS}`,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: ANOTHER_CA,
  UNABLE_TO_GET_ISSUER_CERT: ANOTHER_CA,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: ANOTHER_CA,
  SELF_SIGNED_CERT_IN_CHAIN: ANOTHER_CA,
  DEPTH_ZERO_SELF_SIGNED_CERT: ANOTHER_CA,
  CERT_SIGNATURE_FAILURE: ANOTHER_CA,
  ERR_TLS_CERT_ALTNAME_INVALID:
    'its certificate is not for this address: start it with --name, or use a name that it has',
};

/** The hint for an error of a connection; null when TLS was not its reason. */
export function tlsHint(cause: unknown): string | null {
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : '';
  return HINTS[code] ?? null;
}
