// A parsed document against the schema of its kind: a document, or findings with the place of each
// field that is wrong. Pure but for the places, which the file knows.

import { z } from 'zod';
import { KINDS, type Kind, SPECS } from '#shared/schema/catalog.ts';
import { NodeName, ResourceName } from '#shared/schema/ids.ts';
import { type Document, type Finding, kindName, type Place } from './document.ts';
import { takeWritten } from './written.ts';

const KIND_OF: ReadonlyMap<string, Kind> = new Map(KINDS.map((kind) => [kindName(kind), kind]));

const Header = z.strictObject({
  kind: z.enum([...KIND_OF.keys()] as [string, ...string[]]),
  name: z.string(),
  spec: z.unknown().optional(),
});

type PlaceOf = (path: readonly PropertyKey[]) => Place;

interface Checked {
  readonly document: Omit<Document, 'place' | 'placeOf'> | null;
  readonly findings: readonly Finding[];
}

export function checkDocument(value: unknown, placeOf: PlaceOf): Checked {
  const header = Header.safeParse(value);
  if (!header.success) return { document: null, findings: findingsOf(header.error, [], placeOf) };
  const kind = KIND_OF.get(header.data.kind) ?? 'node';
  const name = (kind === 'node' ? NodeName : ResourceName).safeParse(header.data.name);
  const taken = takeWritten(kind, header.data.spec ?? {});
  const spec = SPECS[kind].safeParse(taken.spec);
  const findings = [
    ...(name.success ? [] : findingsOf(name.error, ['name'], placeOf)),
    ...(spec.success ? [] : findingsOf(spec.error, ['spec'], placeOf)),
  ];
  if (!name.success || !spec.success) return { document: null, findings };
  return {
    document: { kind, name: name.data, spec: spec.data, written: taken.written },
    findings,
  };
}

/** Each unknown field is a finding of its own, where it stands. */
export function findingsOf(
  error: z.ZodError,
  under: readonly PropertyKey[],
  placeOf: PlaceOf,
): readonly Finding[] {
  return error.issues.flatMap((issue): readonly Finding[] => {
    const path = [...under, ...issue.path];
    if (issue.code === 'unrecognized_keys')
      return issue.keys.map((key) => ({
        place: placeOf([...path, key]),
        field: fieldOf([...path, key]),
        text: 'no such field',
      }));
    return [{ place: placeOf(path), field: fieldOf(path), text: issue.message }];
  });
}

/** `spec.modules[0].name` */
const fieldOf = (path: readonly PropertyKey[]): string =>
  path
    .map((step) => (typeof step === 'number' ? `[${step}]` : `.${String(step)}`))
    .join('')
    .replace(/^\./, '');
