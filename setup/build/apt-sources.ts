// Where Debian trixie comes from: the archives that this host itself trusts, with the suite
// replaced. Holds no host name of its own.

import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { BilletError } from '#shared/errors.ts';

/** The release that nodes run, whatever the host runs. */
export const SUITE = 'trixie';

interface Source {
  readonly uris: readonly string[];
  readonly suites: readonly string[];
  readonly components: readonly string[];
  /** A keyring's path; null leaves apt its default. */
  readonly signedBy: string | null;
}

const words = (text: string | undefined) => (text ?? '').split(/\s+/).filter(Boolean);

/** sources.list(5), "deb822-style format": stanzas of fields; a comment line is no field. */
export function parseDeb822(text: string): Source[] {
  const lines = text.split('\n').filter((line) => !line.startsWith('#'));
  return lines
    .join('\n')
    .split(/\n\s*\n/)
    .map((stanza) => {
      const fields = new Map<string, string>();
      for (const [, name = '', value = ''] of stanza.matchAll(/^([\w-]+):((?:.*)(?:\n[ \t].*)*)/gm))
        fields.set(name.toLowerCase(), value.trim());
      return fields;
    })
    .filter((fields) => words(fields.get('types')).includes('deb'))
    .filter((fields) => !/^(no|false|0|off)$/i.test(fields.get('enabled') ?? 'yes'))
    .map((fields) => ({
      uris: words(fields.get('uris')),
      suites: words(fields.get('suites')),
      components: words(fields.get('components')),
      signedBy: keyring(fields.get('signed-by')),
    }));
}

/** sources.list(5), "one-line-style format": `deb [options] uri suite component…`. */
export function parseOneLine(text: string): Source[] {
  return [...text.matchAll(/^\s*deb\s+(?:\[([^\]]*)\]\s+)?(\S+)\s+(\S+)\s+([^#\n]+)/gm)].map(
    ([, options = '', uri = '', suite = '', components = '']) => ({
      uris: [uri],
      suites: [suite],
      components: words(components),
      signedBy: keyring(/signed-by=(\S+)/.exec(options)?.[1]),
    }),
  );
}

/** A key written out in the field itself is left out: apt's own keyrings hold Debian's keys. */
const keyring = (value: string | undefined) => (value?.startsWith('/') ? value : null);

/**
 * The lines of a sources.list for `SUITE`, made from the host's sources of its own release
 * `codename`. Archives that are not Debian's are left out. Empty when there is none.
 */
export function trixieLines(sources: readonly Source[], codename: string): string[] {
  const wanted = (suite: string) =>
    [codename, 'stable'].some((name) =>
      [name, `${name}-updates`, `${name}-security`, `${name}/updates`].includes(suite),
    );
  const lines = sources
    .filter(({ components }) => components.includes('main'))
    .flatMap((source) => {
      const option = source.signedBy ? ` [signed-by=${source.signedBy}]` : '';
      return source.uris.filter(isDebian).flatMap((uri) =>
        source.suites
          .filter(wanted)
          .map((suite) => suite.replace(/^[a-z]+/, SUITE).replace('/updates', '-security'))
          .map((suite) => `deb${option} ${uri} ${suite} main`),
      );
    });
  return [...new Set(lines)];
}

const isDebian = (uri: string) =>
  /\/debian(-security)?(\/|\.list|$)/.test(uri) || /^mirror/.test(uri);

/** Reads the host's sources. Throws CONFIG_INVALID where they name no Debian archive. */
export function hostTrixieLines(root = '/'): string[] {
  const at = (pattern: string) =>
    globSync(pattern, { cwd: join(root, 'etc/apt') })
      .sort()
      .map((file) => readFileSync(join(root, 'etc/apt', file), 'utf8'));
  const sources = [
    ...at('{sources.list,sources.list.d/*.list}').flatMap(parseOneLine),
    ...at('sources.list.d/*.sources').flatMap(parseDeb822),
  ];
  const release = readFileSync(join(root, 'etc/os-release'), 'utf8');
  const codename = /^VERSION_CODENAME=(\S+)$/m.exec(release)?.[1] ?? SUITE;
  const lines = trixieLines(sources, codename);
  if (lines.length === 0)
    throw new BilletError('CONFIG_INVALID', `no Debian archive for ${codename} in /etc/apt`, {
      hint: 'add a source of Debian main to /etc/apt/sources.list.d and run the command again',
    });
  return lines;
}
