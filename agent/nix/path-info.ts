// What Nix says of store paths, as `nix path-info --json` prints it, old form and new. Reads; believes
// nothing: whose signatures count is in signatures.ts.

import { z } from 'zod';

/** One path of a closure, as its signatures vouch for it. */
export interface PathInfo {
  /** /nix/store/<hash>-<name> */
  readonly path: string;
  /** Subresource Integrity: sha256-<base64> */
  readonly narHash: string;
  readonly narSize: number;
  /** Store paths; its own may be among them. */
  readonly references: readonly string[];
  /** `<key name>:<base64>` */
  readonly signatures: readonly string[];
  /** Whether its name follows from its content (fixed-output or text): it needs no signature. */
  readonly contentAddressed: boolean;
}

const Path = z.string().regex(/^\/nix\/store\/[0-9a-z]{32}-[0-9A-Za-z+._?=-]{1,211}$/);

const Entry = z.object({
  narHash: z.string().regex(/^sha256[-:]\S+$/),
  narSize: z.int().nonnegative(),
  references: z.array(Path),
  signatures: z.array(z.string().max(1024)).default([]),
  ca: z.unknown().optional(),
});

/** Nix 2.8: a list; a path that is not there has `valid: false`. Nix 2.19: by path, null for such. */
const Listed = z.array(
  z.union([z.object({ path: Path, valid: z.literal(false) }), Entry.extend({ path: Path })]),
);
const ByPath = z.record(Path, Entry.nullable());

/** Null where one of the paths is not there. Throws a ZodError for what Nix does not print. */
export function parsePathInfo(json: string): PathInfo[] | null {
  const value: unknown = JSON.parse(json);
  const entries = Array.isArray(value)
    ? Listed.parse(value)
    : Object.entries(ByPath.parse(value)).map(([path, entry]) =>
        entry === null ? { path, valid: false as const } : { path, ...entry },
      );
  const infos = entries.flatMap((entry) => ('valid' in entry ? [] : [infoOf(entry)]));
  return infos.length === entries.length ? infos : null;
}

const infoOf = ({ ca, ...rest }: z.infer<typeof Entry> & { readonly path: string }): PathInfo => ({
  ...rest,
  contentAddressed: ca !== undefined && ca !== null && ca !== '',
});
