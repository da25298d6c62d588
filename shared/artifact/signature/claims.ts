// Reads what a signature covers, after the signature has verified. Judges nothing.

import type { z } from 'zod';

/** The JSON document in `bytes`, or null if it is not what `schema` describes. */
export function readClaims<S extends z.ZodType>(schema: S, bytes: Uint8Array): z.infer<S> | null {
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch {
    return null; // signed, but no JSON: it claims nothing
  }
  const parsed = schema.safeParse(json);
  return parsed.success ? parsed.data : null;
}
