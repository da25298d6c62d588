// Where builds keep what they made, and what the names there mean: for those who fill the cache and for
// those who look after its size. No I/O.

import { join } from 'node:path';

/** What was used since then may be in use by another process: it stays, however many there are. */
export const IN_USE_MS = 2 * 3_600_000;

/** `$XDG_CACHE_HOME/billet`, or `~/.cache/billet` (XDG Base Directory Specification). */
export const cacheDirOf = (environment: Readonly<Record<string, string | undefined>>) =>
  join(environment.XDG_CACHE_HOME || join(environment.HOME ?? '/root', '.cache'), 'billet');

/** The kind of a whole entry, `<kind>-<16 digits of its inputs>`; null for any other name. */
export const entryKind = (name: string): string | null =>
  name.startsWith('partial-') ? null : (/^(.+)-[0-9a-f]{16}$/.exec(name)?.[1] ?? null);

/** Who is filling it, of an entry that is not whole; null for any other name. */
export function partialPid(name: string): number | null {
  const pid = /^partial-.*?-(\d+)-[0-9a-f]{16}$/.exec(name)?.[1];
  return pid === undefined ? null : Number(pid);
}

/** The name of an entry while `pid` fills or removes it. */
export const partialName = (kind: string, pid: number, key: string): string =>
  `partial-${kind}-${pid}-${key}`;
