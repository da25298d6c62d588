// A signature in hand that claims to cover some content, in whatever form it came, and who can be
// asked of it: a key, or a trusted root. Fetches nothing.

import type { TrustMaterial } from '@sigstore/verify';
import type { PublicKey } from './keys.ts';
import type { Identity } from './policy.ts';

export interface ClaimedSignature {
  /** Null if this key signed exactly this content; else why not. */
  refute(key: PublicKey): string | null;
  /** Whose certificate signed exactly this content; else why nobody's did. */
  identify(material: TrustMaterial): { readonly signer: Identity } | { readonly reason: string };
}
