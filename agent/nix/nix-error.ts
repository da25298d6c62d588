// What Nix said, as an error of the table. Nix has one exit code for everything: its words decide.

import { BilletError, type Code } from '#shared/errors.ts';
import type { Exit } from '../drivers/exec.ts';

interface Meaning {
  readonly words: RegExp;
  readonly code: Code;
  readonly hint: string;
}

/** In this order: what says more of the cause goes before. */
const MEANINGS: readonly Meaning[] = [
  {
    words: /lacks a (valid signature|signature by a trusted key)/,
    code: 'NIX_SIGNATURE_INVALID',
    hint: 'sign the whole closure with a key of the trust policy: nix store sign --recursive --key-file KEY PATH',
  },
  {
    words: /no space left on device|disk quota exceeded/i,
    code: 'STORE_FULL',
    hint: 'free some of /nix: nix-collect-garbage, or give it a larger disk',
  },
  {
    words:
      /hash mismatch|unexpected end-of-file|truncated|partial file|corrupt|bad archive|input compression|decompress|NAR .* (invalid|wrong)|failed to (open|read) archive|size mismatch|transfer closed|end of file/i,
    code: 'NIX_CACHE_DAMAGED',
    hint: 'copy the closure to the cache once more: nix copy --refresh --to CACHE PATH; the node tries again by itself',
  },
  {
    words: /does not exist in binary cache|HTTP error 40[34]|is not valid/,
    code: 'NIX_CLOSURE_MISSING',
    hint: 'copy the whole closure to the cache: nix copy --to CACHE PATH',
  },
  {
    words:
      /unable to download|could ?n.t connect|could not (resolve|connect)|timed? ?out|HTTP error|connection (refused|reset)/i,
    code: 'NIX_CACHE_UNREACHABLE',
    hint: 'on the node: curl -I CACHE/nix-cache-info; the node tries again by itself, and stays as it is until then',
  },
];

/** `what` was to be done, as a verb with its object. */
export function nixError({ code, stderr }: Exit, what: string): BilletError {
  const said = stderr
    .split('\n')
    .filter((line) => !/^(warning|copying|checking)\b/.test(line))
    .join('\n')
    .trim()
    .slice(-1000);
  const meaning = MEANINGS.find(({ words }) => words.test(said));
  return new BilletError(meaning?.code ?? 'COMMAND_FAILED', `Nix could not ${what}: ${said}`, {
    hint: meaning?.hint ?? 'on the node: run the same with nix -vvv',
    details: { exit: code },
  });
}
