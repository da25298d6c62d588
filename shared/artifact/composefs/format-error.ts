// One way to say that an image, a dump or a tree is not a composefs that Billet reads or writes.

import { BilletError } from '#shared/errors.ts';

const UNTRANSFORMED_HINT =
  'make the image with composefs tools 1.0.x and default options, or with `billet composefs image`';

/** `COMPOSEFS_FORMAT`, with what is wrong and where. */
export function formatError(message: string, hint = UNTRANSFORMED_HINT): BilletError {
  return new BilletError('COMPOSEFS_FORMAT', message, { hint });
}
