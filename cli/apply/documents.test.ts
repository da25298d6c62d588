import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { BilletError } from '#shared/errors.ts';
import { parseDocuments, readDocuments } from './documents.ts';

/** `place field: text` of everything that is wrong. */
const wrong = (text: string): readonly string[] =>
  parseDocuments('a.yaml', text).findings.map(
    ({ place, field, text: why }) => `${place} ${field}: ${why}`,
  );

test('an unknown field is refused with its file, its line and its whole name', () => {
  const text = `kind: Template
name: edge
spec:
  platfrom: debian
  settings:
    timezone: Asia/Tokyo
    motd: hello
---
kind: Node
name: n1
spec:
  modules:
    - name: base
      kind: system
      version: 1.0.0
      repository: base
      manifest: sha256:${'a'.repeat(64)}
      image: sha256:${'a'.repeat(64)}
      tag: stable
`;
  assert.deepEqual(wrong(text), [
    'a.yaml:7 spec.settings.motd: no such field',
    'a.yaml:4 spec.platfrom: no such field',
    'a.yaml:19 spec.modules[0].tag: no such field',
  ]);
  assert.deepEqual(wrong('kind: Region\nname: here\nlabels: {}\nspec: { provider: manual }\n'), [
    'a.yaml:3 labels: no such field',
  ]);
});

test('a value that does not fit is found at its own line', () => {
  const text = `kind: Class
name: Worker!
spec:
  lifecycleClass: forever
  install:
    profile: p
    disk: { sizeBytesMin: 2, sizeBytesMax: 1 }
`;
  const [name, lifecycle, disk] = wrong(text);
  assert.match(name ?? '', /^a\.yaml:2 name: lower-case letters/);
  assert.match(lifecycle ?? '', /^a\.yaml:4 spec\.lifecycleClass: .*"persistent"/);
  assert.match(disk ?? '', /^a\.yaml:7 spec\.install\.disk: sizeBytesMin is above/);
});

test('a missing field is found at what lacks it; a kind that there is not, by name', () => {
  assert.match(
    wrong('kind: Platform\nname: p\nspec: {}\n')[0] ?? '',
    /^a\.yaml:3 spec\.architecture: /,
  );
  assert.match(wrong('name: p\nspec: {}\n')[0] ?? '', /^a\.yaml:1 kind: .*"Platform"/);
  assert.match(wrong('kind: Plattform\nname: p\n')[0] ?? '', /^a\.yaml:1 kind: /);
});

test('YAML that is none, keys that stand twice, foreign tags and bombs of aliases are findings', () => {
  assert.match(wrong('kind: [\n')[0] ?? '', /^a\.yaml:\d+ : /);
  assert.match(wrong('kind: Region\nname: a\nname: b\n')[0] ?? '', /^a\.yaml:3 : .*unique/);
  assert.match(wrong('kind: !!js/function x\nname: a\n')[0] ?? '', /^a\.yaml:1 : .*tag/);
  const levels = Array.from(
    { length: 9 },
    (_, at) => `l${at + 1}: &l${at + 1} [*l${at}, *l${at}, *l${at}, *l${at}]`,
  );
  assert.match(wrong(`l0: &l0 x\n${levels.join('\n')}\n`)[0] ?? '', /alias/);
  assert.deepEqual(wrong('- a\n- b\n').length, 1);
  assert.deepEqual(
    wrong('__proto__: { a: 1 }\nkind: Region\nname: a\nspec: { provider: manual }\n'),
    ['a.yaml:1 __proto__: no such field'],
  );
});

test('whatever a file holds, it is documents or findings, and never a crash', async () => {
  const piece = fc.constantFrom(
    'kind: ',
    'Node',
    '\n',
    'spec:',
    '  ',
    '- ',
    '{',
    '}',
    '[',
    '&a ',
    '*a',
    '---\n',
    '"',
    ': ',
    '!',
    '|',
    '#',
    '\t',
    'name: x',
  );
  await fc.assert(
    fc.property(fc.array(piece, { maxLength: 30 }), (pieces) => {
      const { findings } = parseDocuments('a.yaml', pieces.join(''));
      for (const { place } of findings) assert.match(place, /^a\.yaml:\d+$/);
    }),
    { numRuns: 500 },
  );
});

test('references to the registry may be texts; anything else in their place is refused', () => {
  const { documents, findings } = parseDocuments(
    'a.yaml',
    "kind: Node\nname: n1\nspec: { modules: ['base:1', 'web:2'], bootImage: 'boot:1' }\n",
  );
  assert.deepEqual(findings, []);
  assert.deepEqual(
    documents[0]?.written.map(({ path, text }) => `${path.join('.')} ${text}`),
    ['modules.0 base:1', 'modules.1 web:2', 'bootImage boot:1'],
  );
  assert.match(
    wrong('kind: Node\nname: n1\nspec: { modules: [7] }\n')[0] ?? '',
    /^a\.yaml:3 spec\.modules\[0\]/,
  );
});

test('a directory is read whole: a name that stands twice is refused, and names both places', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'billet-documents-'));
  try {
    const region = 'kind: Region\nname: here\nspec: { provider: manual }\n';
    await writeFile(join(dir, 'a.yaml'), region);
    await writeFile(join(dir, 'b.yml'), `# again\n${region}`);
    await writeFile(join(dir, 'notes.txt'), 'kind: nothing');
    await assert.rejects(readDocuments(dir), (error) => {
      assert.ok(error instanceof BilletError);
      assert.equal(error.code, 'DOCUMENT_INVALID');
      assert.equal(
        error.message,
        `${dir}/b.yml:2: name: Region here stands in ${dir}/a.yaml:1 already`,
      );
      return true;
    });
    await rm(join(dir, 'b.yml'));
    assert.equal((await readDocuments(dir)).length, 1);
    await rm(join(dir, 'a.yaml'));
    await assert.rejects(readDocuments(dir), {
      code: 'DOCUMENT_INVALID',
      message: /holds no document/,
    });
    await assert.rejects(readDocuments(join(dir, 'nowhere')), { code: 'ARGUMENT_INVALID' });
  } finally {
    await rm(dir, { recursive: true });
  }
});
