// Where Debian's packages come from: the host's own mirrors, asked for another suite. Pure; no
// mirror's name stands in this tree.

import { BilletError } from '#shared/errors.ts';

export interface SourceFile {
  /** `sources.list`, `debian.sources` …: the ending decides on the format (sources.list(5)). */
  readonly name: string;
  readonly text: string;
}

interface Archive {
  readonly uri: string;
  readonly signedBy: string | null;
  readonly security: boolean;
}

const KEYRING = '/usr/share/keyrings/debian-archive-keyring.gpg';

/**
 * deb822 text (sources.list(5)) for `suite`, its updates and its security archive, from the mirrors
 * in `files`. Throws CONFIG_INVALID when there is no mirror of Debian.
 */
export function sourcesFor(suite: string, files: readonly SourceFile[]): string {
  const archives = files
    .flatMap(({ name, text }) => (name.endsWith('.sources') ? deb822(text) : oneLine(text)))
    .filter((archive, i, all) => all.findIndex(({ uri }) => uri === archive.uri) === i);
  if (!archives.some(({ security }) => !security))
    throw new BilletError('CONFIG_INVALID', 'apt has no mirror of Debian on this machine', {
      hint: 'add one to /etc/apt/sources.list.d/debian.sources and run apt-get update',
    });
  return archives
    .map(({ uri, signedBy, security }) =>
      [
        'Types: deb',
        `URIs: ${uri}`,
        `Suites: ${security ? `${suite}-security` : `${suite} ${suite}-updates`}`,
        'Components: main',
        `Signed-By: ${signedBy ?? KEYRING}`,
        '',
      ].join('\n'),
    )
    .join('\n');
}

const isDebian = (suites: readonly string[]) =>
  suites.some((suite) => /^(bookworm|trixie|forky|sid|stable|testing|unstable)\b/.test(suite));

const isSecurity = (uri: string, suites: readonly string[]) =>
  /debian-security\/?$/.test(uri) || suites.every((suite) => /-security$|\/updates$/.test(suite));

function deb822(text: string): Archive[] {
  return text.split(/\n[ \t]*\n/).flatMap((stanza) => {
    const field = (name: string): string[] =>
      new RegExp(`^${name}:(.*(?:\\n[ \\t].*)*)`, 'im')
        .exec(stanza.replace(/^#.*\n?/gm, ''))?.[1]
        ?.trim()
        .split(/\s+/) ?? [];
    const suites = field('Suites');
    if (!field('Types').includes('deb') || field('Enabled')[0] === 'no' || !isDebian(suites))
      return [];
    const signedBy = field('Signed-By');
    return field('URIs').map((uri) => ({
      uri,
      signedBy: signedBy[0]?.startsWith('/') === true ? signedBy[0] : null,
      security: isSecurity(uri, suites),
    }));
  });
}

function oneLine(text: string): Archive[] {
  return text.split('\n').flatMap((line) => {
    const found = /^\s*deb\s+(?:\[([^\]]*)\]\s+)?(\S+)\s+(\S+)/.exec(line);
    const [, options = '', uri = '', suite = ''] = found ?? [];
    if (!found || !isDebian([suite])) return [];
    return [
      {
        uri,
        signedBy: /signed-by=(\/\S+)/.exec(options)?.[1] ?? null,
        security: isSecurity(uri, [suite]),
      },
    ];
  });
}
