// The Nix commands that the agent needs: each with all of its settings on the command line, so that no
// nix.conf of the machine, no user's and no daemon's decides whose signatures count. Decides nothing.

import { readdir, readlink } from 'node:fs/promises';
import { join } from 'node:path';
import { BilletError } from '#shared/errors.ts';
import type { NixKey } from '#shared/schema/nix-keys.ts';
import type { Exec, Exit } from '../../drivers/exec.ts';
import { nixError } from '../nix-error.ts';
import { type PathInfo, parsePathInfo } from '../path-info.ts';
import { trustedKeys } from '../signatures.ts';

export interface ProfileGeneration {
  readonly number: number;
  readonly path: string;
}

export interface Nix {
  /**
   * A path with all that it refers to, in this store or in a cache; null where one of them is missing.
   * Throws NIX_CACHE_UNREACHABLE.
   */
  closure(path: string, cache: string | null, signal: AbortSignal): Promise<PathInfo[] | null>;
  /** From a cache, with every signature checked; what is here already is not fetched again. */
  copy(path: string, cache: string, keys: readonly NixKey[], signal: AbortSignal): Promise<void>;
  /** Signatures that a cache has for paths that are here. */
  copySignatures(path: string, cache: string, signal: AbortSignal): Promise<void>;
  /** Content and signatures of the whole closure, as they lie in the store. */
  verify(path: string, keys: readonly NixKey[], signal: AbortSignal): Promise<void>;
  setProfile(path: string, signal: AbortSignal): Promise<void>;
  /** Oldest first. */
  generations(): Promise<readonly ProfileGeneration[]>;
  deleteGenerations(numbers: readonly number[], signal: AbortSignal): Promise<void>;
  /** Deletes what no root needs, until so many bytes are free again. */
  collectGarbage(maxFreedBytes: number, signal: AbortSignal): Promise<void>;
}

export interface NixOptions {
  readonly exec: Exec;
  /** Where the system lies whose store it is: `/`, or the root of an installation. */
  readonly root: string;
  /** netrc(5) with the passwords of caches; it need not exist. */
  readonly netrc: string;
}

/** Below the root. */
const PROFILE_DIR = 'nix/var/nix/profiles';

/** At about 1 KB for each path, larger than any system; a cache that says more is not believed. */
const CLOSURE_CHARS_MAX = 64 * 1024 * 1024;

/** No nix.conf lies there, and none is looked for elsewhere. */
const CLEAN = ['env', 'NIX_CONF_DIR=/nonexistent', 'NIX_USER_CONF_FILES=', 'NIX_CONFIG='] as const;

export function hostNix({ exec, root, netrc }: NixOptions): Nix {
  const store = root === '/' ? 'local' : `local?root=${root}`;
  const profile = join(root, PROFILE_DIR, 'system');
  const settings = (keys: readonly NixKey[]): string[] =>
    Object.entries({
      'require-sigs': 'true',
      'trusted-public-keys': trustedKeys(keys),
      'secret-key-files': '',
      substituters: '',
      // Nothing is ever built here, and so nobody is needed to build as.
      'max-jobs': '0',
      builders: '',
      'build-users-group': '',
      'netrc-file': netrc,
      'download-attempts': '3',
      'connect-timeout': '10',
      'stalled-download-timeout': '60',
      // A power cut leaves no path that the store calls valid and the disk has not (newer Nix; older ones
      // only warn that they do not know it).
      'fsync-store-paths': 'true',
      // What a cache said an hour ago is no answer to what it has now.
      'narinfo-cache-negative-ttl': '0',
      'narinfo-cache-positive-ttl': '0',
    }).flatMap(([name, value]) => ['--option', name, value]);

  const nix = (
    words: readonly string[],
    signal: AbortSignal,
    keys: readonly NixKey[] = [],
    stdoutMax?: number,
  ) => {
    const features = ['--extra-experimental-features', 'nix-command'];
    const argv = [...CLEAN, 'nix', ...features, ...settings(keys), ...words] as const;
    return exec(argv, signal, undefined, stdoutMax);
  };
  const classic = (tool: string, words: readonly string[], signal: AbortSignal) =>
    exec([...CLEAN, tool, ...settings([]), '--store', store, ...words], signal);

  return {
    async closure(path, cache, signal) {
      const where = cache ?? store;
      const words = ['path-info', '--store', where, '--json', '--recursive', path];
      const exit = await nix(words, signal, [], CLOSURE_CHARS_MAX);
      if (exit.code === 0) return parsed(exit, where);
      if (isAbsent(exit)) return null;
      throw nixError(exit, `ask ${cache ?? 'the store'} for ${path}`);
    },
    async copy(path, cache, keys, signal) {
      const words = ['copy', '--from', cache, '--to', store, path];
      orThrow(await nix(words, signal, keys), `copy ${path} from ${cache}`);
    },
    async copySignatures(path, cache, signal) {
      const words = ['store', 'copy-sigs', '--store', store, '-s', cache, '--recursive', path];
      orThrow(await nix(words, signal), `take signatures of ${path} from ${cache}`);
    },
    async verify(path, keys, signal) {
      const words = [
        'store',
        'verify',
        '--store',
        store,
        '--recursive',
        '--sigs-needed',
        '1',
        path,
      ];
      const exit = await nix(words, signal, keys);
      if (exit.code !== 0) throw notVerified(path, exit);
    },
    async setProfile(path, signal) {
      orThrow(
        await classic('nix-env', ['--profile', profile, '--set', path], signal),
        'set the profile',
      );
    },
    generations: () => generationsIn(join(root, PROFILE_DIR)),
    async deleteGenerations(numbers, signal) {
      if (numbers.length === 0) return;
      const words = ['--profile', profile, '--delete-generations', ...numbers.map(String)];
      orThrow(await classic('nix-env', words, signal), 'delete old generations of the profile');
    },
    async collectGarbage(maxFreedBytes, signal) {
      const words = ['--gc', '--max-freed', String(maxFreedBytes)];
      orThrow(await classic('nix-store', words, signal), 'collect garbage');
    },
  };
}

function orThrow(exit: Exit, what: string): void {
  if (exit.code !== 0) throw nixError(exit, what);
}

const isAbsent = ({ stderr }: Exit): boolean =>
  /is not valid|does not exist in binary cache|is required, but|don't know how to build/.test(
    stderr,
  );

function parsed(exit: Exit, where: string): PathInfo[] | null {
  try {
    return parsePathInfo(exit.stdout);
  } catch (cause) {
    throw new BilletError('NIX_CACHE_DAMAGED', `${where} describes paths in no form of Nix`, {
      hint: 'compare the versions of Nix on the node and of the cache',
      cause,
    });
  }
}

/** Bits of `nix store verify`: 1 damaged content, 2 without a trusted signature, 4 something else. */
function notVerified(path: string, exit: Exit): BilletError {
  const said = exit.stderr.trim().slice(-1000);
  if ((exit.code & 1) === 1)
    return new BilletError('NIX_CLOSURE_INVALID', `content of ${path} is damaged: ${said}`, {
      hint: 'on the node: nix-store --verify --check-contents --repair; the disk may be failing',
      details: { path },
    });
  if ((exit.code & 2) === 2)
    return new BilletError('NIX_SIGNATURE_INVALID', `parts of ${path} are not trusted: ${said}`, {
      hint: `sign the whole closure: nix store sign --recursive --key-file KEY ${path}`,
      details: { path },
    });
  return nixError(exit, `verify ${path}`);
}

/** The links system-N-link. */
async function generationsIn(dir: string): Promise<ProfileGeneration[]> {
  const names = await namesIn(dir);
  const found = await Promise.all(
    names.map(async (name): Promise<ProfileGeneration[]> => {
      const number = /^system-(\d{1,9})-link$/.exec(name)?.[1];
      const path = number === undefined ? null : await linkOrNull(join(dir, name));
      return path === null ? [] : [{ number: Number(number), path }];
    }),
  );
  return found.flat().sort((a, b) => a.number - b.number);
}

async function namesIn(dir: string): Promise<string[]> {
  try {
    return await readdir(dir);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

/** What a symbolic link says; null where there is none. */
export async function linkOrNull(path: string): Promise<string | null> {
  try {
    return await readlink(path);
  } catch (error) {
    if (['ENOENT', 'EINVAL', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? ''))
      return null;
    throw error;
  }
}
