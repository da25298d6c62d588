// Pieces that several routes share: no input, and pages.

import { z } from 'zod';

/** PEM of a PKCS#10 request (RFC 2986). */
export const Csr = z.string().max(8192).startsWith('-----BEGIN CERTIFICATE REQUEST-----');

export const none = z.strictObject({});
/** A request without a body, or a reply that says nothing. */
export const empty = z.strictObject({}).default({});

export const pageQuery = z.strictObject({
  /** Of the page before. */
  after: z.string().max(512).optional(),
  limit: z.coerce.number().int().min(1).max(1000).default(100),
});

export const pageOf = <T extends z.ZodType>(item: T) =>
  z.object({ items: z.array(item), next: z.string().nullable(), revision: z.int().nonnegative() });
