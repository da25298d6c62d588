// The file /usr/share/doc/*/copyright: the licence of this tree, and of everything that was bundled into
// a package (Debian Policy 12.5; machine-readable debian/copyright, version 1.0). Reads licences only.

import { globSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { BilletError } from '#shared/errors.ts';

const NODE_MODULES = join(import.meta.dirname, '../../node_modules');
const PackageJson = z.object({ name: z.string(), version: z.string(), license: z.string() });

const COMMON =
  'On Debian systems the text of the licence is in /usr/share/common-licenses/Apache-2.0.';

const HEADER = `Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: billet

Files: *
Copyright: the authors of Billet
License: Apache-2.0
 ${COMMON}
`;

/**
 * A paragraph for each npm package in `bundled`, under the file `into` that holds it. Throws
 * UNSUPPORTED for one that does not bring its licence: it must not be shipped.
 */
export async function renderCopyright(
  bundled: Readonly<Record<string, readonly string[]>>,
): Promise<string> {
  const paragraphs = await Promise.all(
    Object.entries(bundled).flatMap(([into, names]) =>
      names.map((name) => paragraphOf(name, into)),
    ),
  );
  return [HEADER, ...paragraphs].join('\n');
}

async function paragraphOf(name: string, into: string): Promise<string> {
  const dir = join(NODE_MODULES, name);
  const { version, license } = PackageJson.parse(
    JSON.parse(await readFile(join(dir, 'package.json'), 'utf8')),
  );
  // Debian has it, and wants it pointed to.
  if (license === 'Apache-2.0') return paragraph({ into, name, version, license, text: COMMON });
  const [file] = globSync('{LICENSE,LICENCE,COPYING}{,.txt,.md}', { cwd: dir }).sort();
  if (file === undefined)
    throw new BilletError('UNSUPPORTED', `${name} ${version} brings no licence text`, {
      hint: `leave ${name} out, or have its licence from where it comes from`,
    });
  const text = await readFile(join(dir, file), 'utf8');
  return paragraph({ into, name, version, license, text });
}

function paragraph(of: Readonly<Record<'into' | 'name' | 'version' | 'license' | 'text', string>>) {
  return [
    `Files: ${of.into}`,
    `Comment: ${of.name} ${of.version}`,
    'Copyright: as the text of the licence says',
    `License: ${of.license}-${of.name.replace(/[^A-Za-z0-9]+/g, '-').replace(/^-/, '')}`,
    ...indented(of.text),
    '',
  ].join('\n');
}

const indented = (text: string): string[] =>
  text
    .trim()
    .split('\n')
    .map((line) => (line.trim() === '' ? ' .' : ` ${line.trimEnd()}`));
