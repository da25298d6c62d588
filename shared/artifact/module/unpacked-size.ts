// How much a layer may unpack to: against a few kilobytes that become a full disk before anybody can
// tell that they are not the layer. Decides; unpacks nothing.

import { z } from 'zod';
import { BilletError } from '../../errors.ts';
import type { Descriptor } from '../oci/schema.ts';

/**
 * Annotation of a layer's descriptor: the bytes of its tar, in decimal digits. `billet module seal`
 * writes it, and the manifest's signature covers it.
 */
export const ANNOTATION_UNPACKED_SIZE = 'dev.billet.unpacked-size';

/** Without the annotation. Root file systems unpack to 2 to 5 times their size, text to 20. */
const RATIO_MAX = 32;
const SMALL_BYTES = 16 * 1024 * 1024;

const Size = z.string().regex(/^(?:0|[1-9]\d{0,14})$/);

/** Bytes. Throws OCI_INVALID for an annotation that is no size. */
export function unpackedLimit({ digest, size, annotations }: Descriptor): number {
  const text = annotations?.[ANNOTATION_UNPACKED_SIZE];
  if (text === undefined) return Math.max(SMALL_BYTES, RATIO_MAX * size);
  const parsed = Size.safeParse(text);
  if (parsed.success) return Number(parsed.data);
  throw new BilletError('OCI_INVALID', `layer ${digest}: ${ANNOTATION_UNPACKED_SIZE} is no size`, {
    hint: 'seal the image again with `billet module seal`, which measures its layers',
    details: { layer: digest },
  });
}

export const withUnpackedSize = (layer: Descriptor, bytes: number): Descriptor => ({
  ...layer,
  annotations: { ...layer.annotations, [ANNOTATION_UNPACKED_SIZE]: String(bytes) },
});

/** Passes chunks on up to `limitBytes`; the chunk that is over ends it with LAYER_TOO_LARGE. */
export async function* atMost(
  limitBytes: number,
  chunks: AsyncIterable<Uint8Array>,
  { digest, annotations }: Descriptor,
): AsyncGenerator<Uint8Array, void> {
  let bytes = 0;
  for await (const chunk of chunks) {
    bytes += chunk.length;
    if (bytes > limitBytes) throw tooLarge();
    yield chunk;
  }

  function tooLarge(): BilletError {
    const signed = annotations?.[ANNOTATION_UNPACKED_SIZE] !== undefined;
    const why = signed ? 'its manifest says' : 'is allowed for its size';
    return new BilletError(
      'LAYER_TOO_LARGE',
      `layer ${digest} unpacks to more than the ${limitBytes} bytes that ${why}`,
      {
        hint: signed
          ? 'look at the registry: what it serves is not the layer that was sealed'
          : 'if it is that large, seal it again with `billet module seal`: it writes down the size',
        details: { layer: digest, limitBytes, signed },
      },
    );
  }
}
