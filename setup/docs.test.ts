import assert from 'node:assert/strict';
import { existsSync, globSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { CODES } from '#shared/error-codes.ts';
import { COMMANDS } from '../cli/table.ts';
import { testIo } from '../cli/testing.ts';
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

/** `billet a b --flag` as pages show it: on a line of its own, in backquotes, behind `&&`. */
const SHOWN = /(?:^|`|\$ |&& |sudo )billet ([a-z][^`#\n]*)/gm;

test('a command that a page shows exists, with the flags that it shows', async () => {
  const { io } = testIo();
  let count = 0;
  for (const page of pages)
    for (const [, line = ''] of textOf(page).matchAll(SHOWN)) {
      const [name = '', ...words] = line.trim().split(/\s+/);
      const row = COMMANDS.find((each) => each.name === name);
      assert.ok(row, `${page}: billet ${line}`);
      let command = await row.load(io);
      for (const word of words) {
        command = command.commands.find((child) => child.name() === word) ?? command;
        if (!word.startsWith('--') || word === '--help') continue;
        const known = [...command.options, ...(command.parent?.options ?? [])];
        const isKnown = known.some(({ long }) => long === word) || PASSED_ON.has(name);
        assert.ok(isKnown, `${page}: billet ${line}`);
      }
      count += 1;
    }
  assert.ok(count > 100, `${count}`);
});

/** They hand their flags on to a program that reads them itself. */
const PASSED_ON = new Set(['coordinator', 'agent']);

test('a code that a page names in capitals is in the table', () => {
  const known = new Set<string>(Object.keys(CODES));
  for (const page of pages)
    for (const [, code = ''] of textOf(page).matchAll(/code `([A-Z][A-Z_]+)`/g))
      assert.ok(known.has(code), `${page}: ${code}`);
});
