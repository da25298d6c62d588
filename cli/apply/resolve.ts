// What the texts in documents mean now: asks the registry for each module and boot image once, and
// pins it. Writes nothing.

import { BilletError } from '#shared/errors.ts';
import { SPECS } from '#shared/schema/catalog.ts';
import type { BootImage } from '#shared/schema/desired.ts';
import type { ModuleRef } from '#shared/schema/module.ts';
import { parseLocalReference } from '../artifact/local-reference.ts';
import type { Resolve } from '../node-spec.ts';
import { findingsOf } from './check.ts';
import { type Document, type Finding, invalid } from './document.ts';
import { putMeaning, type Written } from './written.ts';

const SEMVER = /^\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?$/;

/** The same documents with digests. DOCUMENT_INVALID with every text that means nothing. */
export async function resolveDocuments(
  documents: readonly Document[],
  resolve: Resolve,
): Promise<readonly Document[]> {
  const findings: Finding[] = [];
  const meanings = new Map<string, Promise<ModuleRef | BootImage>>();
  const meaningOf = ({ what, text }: Written) => {
    const key = `${what} ${text}`;
    const known = meanings.get(key);
    if (known !== undefined) return known;
    const asked = what === 'module' ? moduleOf(text, resolve) : resolve.bootImage(text);
    meanings.set(key, asked);
    return asked;
  };
  const resolved: Document[] = [];
  for (const document of documents) {
    let { spec } = document;
    for (const written of document.written)
      try {
        spec = putMeaning(spec, written, await meaningOf(written));
      } catch (error) {
        if (!(error instanceof BilletError) || !MEANINGLESS.includes(error.code)) throw error;
        const path = ['spec', ...written.path];
        findings.push({
          place: document.placeOf(path),
          field: path.join('.'),
          text: `${error.message} (${error.code}); ${error.hint}`,
        });
      }
    const checked = SPECS[document.kind].safeParse(spec);
    if (checked.success) resolved.push({ ...document, spec: checked.data });
    else findings.push(...findingsOf(checked.error, ['spec'], document.placeOf));
  }
  if (findings.length > 0) throw invalid(findings);
  return resolved;
}

/** What is wrong with the text, not with the way to the registry. */
const MEANINGLESS: readonly string[] = [
  'ARGUMENT_INVALID',
  'DIGEST_MISMATCH',
  'MODULE_INVALID',
  'NOT_FOUND',
  'OCI_INVALID',
];

/** MODULE_INVALID when a tag that is a version names a module of another one. */
async function moduleOf(text: string, resolve: Resolve): Promise<ModuleRef> {
  const { reference } = parseLocalReference(text, 'the module');
  const ref = await resolve.module(text);
  if (!SEMVER.test(reference) || ref.version === reference) return ref;
  throw new BilletError('MODULE_INVALID', `${text} is version ${ref.version} of ${ref.name}`, {
    hint: 'write the version that is meant, or push the right one under this tag',
  });
}
