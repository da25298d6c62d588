// The control information of a Debian package, from what is in it: deb-control(5), deb-md5sums(5),
// deb-changelog(5). Text only; reads and writes nothing.

import { createHash } from 'node:crypto';
import { BilletError } from '#shared/errors.ts';

/** One file of a package. */
export interface PackageFile {
  /** Absolute, as installed. */
  readonly path: string;
  /** Permission bits; everything belongs to root. */
  readonly mode: number;
  readonly content: Uint8Array;
}

export interface ControlFields {
  readonly name: string;
  readonly version: string;
  readonly section: string;
  /** `Name <address>` */
  readonly maintainer: string;
  readonly depends: readonly string[];
  readonly summary: string;
  /** Paragraphs. */
  readonly description: readonly string[];
}

/** What runs is tested on this one only: the agent calls the kernel by its own numbers. */
export const ARCHITECTURE = 'amd64';

const LINE_MAX = 78;

/** deb-version(7), without an epoch: what file names and dpkg take. Throws ARGUMENT_INVALID. */
export function assertDebianVersion(version: string): void {
  if (/^\d[A-Za-z0-9.+~]*(-[A-Za-z0-9.+~]+)?$/.test(version)) return;
  throw new BilletError('ARGUMENT_INVALID', `${JSON.stringify(version)} is no Debian version`, {
    hint: 'start with a digit; letters, digits and . + ~ follow (deb-version(7)), e.g. 0.2.0~rc1',
  });
}

export function renderControl(fields: ControlFields, files: readonly PackageFile[]): string {
  const lines = [
    `Package: ${fields.name}`,
    `Version: ${fields.version}`,
    `Architecture: ${ARCHITECTURE}`,
    `Maintainer: ${fields.maintainer}`,
    `Installed-Size: ${installedSizeKib(files)}`,
    `Depends: ${[...fields.depends].sort().join(', ')}`,
    `Section: ${fields.section}`,
    'Priority: optional',
    `Description: ${fields.summary}`,
    ...fields.description.flatMap((text, index) => [
      ...(index === 0 ? [] : [' .']),
      ...wrapped(text),
    ]),
  ];
  return `${lines.join('\n')}\n`;
}

/** As dpkg-gencontrol(1) counts: each file in whole KiB, and one for each directory. */
function installedSizeKib(files: readonly PackageFile[]): number {
  const directories = directoriesOf(files).length;
  return files.reduce((sum, { content }) => sum + Math.ceil(content.length / 1024), directories);
}

/** Every directory above the files, parents first, the root itself left out. */
export function directoriesOf(files: readonly PackageFile[]): readonly string[] {
  const found = new Set<string>();
  for (const { path } of files)
    for (let end = path.lastIndexOf('/'); end > 0; end = path.lastIndexOf('/', end - 1))
      found.add(path.slice(0, end));
  return [...found].sort();
}

export function renderMd5sums(files: readonly PackageFile[]): string {
  return files
    .map(({ path, content }) => ({ path, sum: createHash('md5').update(content).digest('hex') }))
    .sort((a, b) => (a.path < b.path ? -1 : 1))
    .map(({ path, sum }) => `${sum}  ${path.slice(1)}\n`)
    .join('');
}

/** One entry, which points to where the changes are told. */
export function renderChangelog(
  { name, version, maintainer }: Pick<ControlFields, 'name' | 'version' | 'maintainer'>,
  epochSeconds: number,
): string {
  const date = new Date(epochSeconds * 1000).toUTCString().replace('GMT', '+0000');
  return [
    `${name} (${version}) stable; urgency=medium`,
    '',
    '  * Built from the source tree; its CHANGELOG.md tells the changes.',
    '',
    ` -- ${maintainer}  ${date}`,
    '',
  ].join('\n');
}

function wrapped(text: string): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(/\s+/).filter(Boolean)) {
    if (line !== '' && line.length + 1 + word.length > LINE_MAX - 1) {
      lines.push(line);
      line = '';
    }
    line = line === '' ? word : `${line} ${word}`;
  }
  return [...lines, line].map((each) => ` ${each}`);
}
