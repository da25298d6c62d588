import assert from 'node:assert/strict';
import { existsSync, globSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { CODES } from '#shared/error-codes.ts';
import { COMMANDS } from '../cli/table.ts';
import { withGeneratedParts } from './wire-doc.ts';

const root = dirname(import.meta.dirname);
const pages = globSync('{*.md,docs/*.md}', { cwd: root });
const textOf = (page: string) => readFileSync(join(root, page), 'utf8');

test('the tables of docs/wire.md are those of the sources (else: npm run docs)', () => {
  const page = textOf('docs/wire.md');
  assert.match(page, /POST \| `\/v1\/enroll`/);
  assert.ok(withGeneratedParts(page) === page, 'docs/wire.md is stale: npm run docs');
});

test('a link to a file in the tree leads to a file', () => {
  for (const page of pages)
    for (const [, target = ''] of textOf(page).matchAll(/\]\(([^)#:\s]+)(?:#[^)]*)?\)/g))
      assert.ok(existsSync(join(root, dirname(page), target)), `${page} -> ${target}`);
});

test('a test that a page names is there, and docs/security.md names one in every section', () => {
  const named = (text: string) => [...text.matchAll(/`([\w/-]+\.(?:test|peer|vm)\.ts)`/g)];
  for (const page of pages)
    for (const [, path = ''] of named(textOf(page)))
      assert.ok(existsSync(join(root, path)), `${page}: ${path}`);
  const sections = textOf('docs/security.md').split(/^##+ /m).slice(1);
  const without = sections.filter((text) => named(text).length === 0);
  const titles = without.map((text) => text.split('\n')[0]);
  assert.deepEqual(titles, ['What is not covered', 'Reporting']);
  assert.ok(sections.length > 10);
});

test('a command that a page shows exists', () => {
  const names = new Set(COMMANDS.map(({ name }) => name));
  for (const page of pages)
    for (const [, name = ''] of textOf(page).matchAll(
      /(?:^|`|\$ |&& |sudo )billet ([a-z]+(?:-[a-z]+)*)/gm,
    ))
      assert.ok(names.has(name), `${page}: billet ${name}`);
});

test('a code that a page names in capitals is in the table', () => {
  const known = new Set<string>(Object.keys(CODES));
  for (const page of pages)
    for (const [, code = ''] of textOf(page).matchAll(/code `([A-Z][A-Z_]+)`/g))
      assert.ok(known.has(code), `${page}: ${code}`);
});
