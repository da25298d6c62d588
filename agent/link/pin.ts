// Finds the coordinator's CA certificate and believes it only by its fingerprint. Gives no connection
// on: what follows verifies in the ordinary way, against this one CA.

import { type Digest, sha256 } from '#shared/digest.ts';
import { BilletError } from '#shared/errors.ts';
import { type Greeting, greet } from './greeting.ts';

export interface PinRequest {
  /** Base URL of the coordinator. */
  readonly coordinator: string;
  /** SHA-256 of the CA certificate's DER. */
  readonly ca: Digest;
}

/**
 * PEM of the CA certificate with that fingerprint: while a CA is rotated the old one or the new, for
 * the coordinator names both and can be verified by either. Throws CA_PIN_MISMATCH when it names
 * none, LINK_DOWN without an answer.
 */
export async function fetchPinnedCa(request: PinRequest, signal: AbortSignal): Promise<string> {
  const greeting = await greet(request.coordinator, signal);
  const found = greeting.named.find(({ fingerprint }) => fingerprint === request.ca);
  if (found?.certificate.ca) return found.pem;
  throw mismatch(request, greeting);
}

function mismatch({ coordinator, ca }: PinRequest, { named, chain }: Greeting): BilletError {
  const shown = named.map(({ fingerprint }) => fingerprint);
  return new BilletError(
    'CA_PIN_MISMATCH',
    `${coordinator} shows the CA ${shown.join(' and ') || '(none)'}, pinned is ${ca}`,
    {
      hint: 'somebody may stand between; if the coordinator was set up anew, or its old CA was retired, boot with its new fingerprint (`billet token create` prints it)',
      details: { pinned: ca, named: shown, chain: chain.map(({ raw }) => sha256(raw)) },
    },
  );
}
