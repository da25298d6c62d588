// Documents of `billet apply`: YAML files to checked documents, or to findings that name file, line
// and field. Asks nobody but the disk; what a tag means is found out later.

import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { isMap, LineCounter, type Document as Parsed, parseAllDocuments } from 'yaml';
import { BilletError } from '#shared/errors.ts';
import { KINDS } from '#shared/schema/catalog.ts';
import { checkDocument } from './check.ts';
import { type Document, type Finding, invalid, kindName, type Place } from './document.ts';

const FILE_BYTES_MAX = 4 * 1024 * 1024;
/** Anchors are for people; a file that unfolds to much more than it says is not. */
const ALIASES_MAX = 100;

/**
 * Every document of a file, or of the *.yaml and *.yml files under a directory, in the order of their
 * paths. DOCUMENT_INVALID with all that is wrong (the first 20); ARGUMENT_INVALID for no such file.
 */
export async function readDocuments(path: string): Promise<readonly Document[]> {
  const documents: Document[] = [];
  const findings: Finding[] = [];
  for (const file of await filesOf(path)) {
    const read = parseDocuments(file, await readText(file));
    documents.push(...read.documents);
    findings.push(...read.findings);
  }
  findings.push(...duplicates(documents));
  if (findings.length > 0) throw invalid(findings);
  if (documents.length > 0) return documents;
  throw new BilletError('DOCUMENT_INVALID', `${path} holds no document`, {
    hint: `write one: kind (${KINDS.map(kindName).join(', ')}), name, spec`,
  });
}

/** The documents of one file, and what is wrong in it. */
export function parseDocuments(
  file: string,
  text: string,
): { readonly documents: readonly Document[]; readonly findings: readonly Finding[] } {
  const lines = new LineCounter();
  const parsed = parseAllDocuments(text, {
    lineCounter: lines,
    version: '1.2',
    uniqueKeys: true,
    prettyErrors: false,
    logLevel: 'silent',
  });
  const documents: Document[] = [];
  const findings: Finding[] = [];
  const placeAt = (offset: number): Place => `${file}:${lines.linePos(offset).line}`;
  for (const one of 'empty' in parsed ? [] : parsed) {
    const broken = [...one.errors, ...one.warnings];
    for (const { pos, message } of broken)
      findings.push({ place: placeAt(pos[0]), field: '', text: message });
    if (broken.length > 0 || one.contents === null) continue;
    const placeOf = (path: readonly PropertyKey[]) => placeAt(offsetOf(one, path));
    const value = unfolded(one, placeOf([]), findings);
    if (value === undefined) continue;
    const checked = checkDocument(value, placeOf);
    findings.push(...checked.findings);
    if (checked.document) documents.push({ ...checked.document, place: placeOf([]), placeOf });
  }
  return { documents, findings };
}

function unfolded(one: Parsed, place: Place, findings: Finding[]): unknown {
  try {
    return one.toJS({ maxAliasCount: ALIASES_MAX });
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error);
    findings.push({ place, field: '', text });
    return undefined;
  }
}

/** Of the key that a path ends with; of the deepest node on the way where there is none. */
function offsetOf(document: Parsed, path: readonly PropertyKey[]): number {
  let node: unknown = document.contents;
  let offset = startOf(node) ?? document.range?.[0] ?? 0;
  for (const step of path) {
    if (isMap(node)) {
      const pair = node.items.find(({ key }) => textOf(key) === String(step));
      offset = startOf(pair?.key) ?? offset;
      node = pair?.value;
    } else {
      const items: unknown = (node as { items?: unknown } | null)?.items;
      node = Array.isArray(items) ? items[Number(step)] : undefined;
      offset = startOf(node) ?? offset;
    }
  }
  return offset;
}

const startOf = (node: unknown): number | undefined =>
  (node as { range?: readonly number[] } | null | undefined)?.range?.[0];

const textOf = (key: unknown): string => String((key as { value?: unknown } | null)?.value ?? key);

function duplicates(documents: readonly Document[]): readonly Finding[] {
  const first = new Map<string, Place>();
  return documents.flatMap(({ kind, name, place }) => {
    const key = `${kind}/${name}`;
    const before = first.get(key);
    if (before === undefined) first.set(key, place);
    return before === undefined
      ? []
      : [{ place, field: 'name', text: `${kindName(kind)} ${name} stands in ${before} already` }];
  });
}

async function filesOf(path: string): Promise<readonly string[]> {
  try {
    if (!(await stat(path)).isDirectory()) return [path];
    const entries = await readdir(path, { recursive: true, withFileTypes: true });
    return entries
      .filter((entry) => entry.isFile() && /^[^.].*\.ya?ml$/.test(entry.name))
      .map((entry) => join(entry.parentPath, entry.name))
      .sort();
  } catch (cause) {
    throw unreadable(path, cause);
  }
}

async function readText(file: string): Promise<string> {
  try {
    const { size } = await stat(file);
    if (size <= FILE_BYTES_MAX) return await readFile(file, 'utf8');
  } catch (cause) {
    throw unreadable(file, cause);
  }
  throw new BilletError('DOCUMENT_INVALID', `${file} is larger than ${FILE_BYTES_MAX} bytes`, {
    hint: 'split it into several files',
  });
}

const unreadable = (path: string, cause: unknown) =>
  new BilletError(
    'ARGUMENT_INVALID',
    `cannot read ${path}: ${cause instanceof Error ? cause.message : String(cause)}`,
    {
      hint: 'name a file or directory of YAML documents that exists',
      cause,
    },
  );
