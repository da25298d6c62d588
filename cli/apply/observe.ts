// What the coordinator has of what documents name: the records themselves, those of the set, and
// what the documents refer to. Changes nothing.

import { BilletError } from '#shared/errors.ts';
import { KINDS, type Kind, referencesOf } from '#shared/schema/catalog.ts';
import { type Coordinator, listAll } from '../client.ts';
import { type Document, type Finding, kindName } from './document.ts';
import { recordRoutes } from './kinds.ts';
import type { Existing } from './plan.ts';

/** Requests at a time. */
const AT_ONCE = 8;

export interface Observed {
  readonly existing: readonly Existing[];
  /** Of the set; empty unless it is to be pruned. */
  readonly prune: readonly Existing[];
}

/** REFERENCE_INVALID, with places, when a document names what will not be there. */
export async function observe(
  coordinator: Coordinator,
  documents: readonly Document[],
  prune: string | null,
): Promise<Observed> {
  const existing = await inTurns(documents, ({ kind, name }) => find(coordinator, kind, name));
  const ofSet = prune === null ? [] : await listSet(coordinator, prune);
  const known = new Set(documents.map(({ kind, name }) => `${kind}/${name}`));
  const going = new Set(
    ofSet.map(({ kind, name }) => `${kind}/${name}`).filter((key) => !known.has(key)),
  );
  await assertReferences(coordinator, documents, known, going);
  return { existing: existing.filter((one) => one !== null), prune: ofSet };
}

/** Null when there is none. */
async function find(coordinator: Coordinator, kind: Kind, name: string): Promise<Existing | null> {
  try {
    const found = await coordinator.call(recordRoutes(kind).get, { params: { name } });
    return { ...found, kind };
  } catch (error) {
    if (error instanceof BilletError && error.code === 'NOT_FOUND') return null;
    throw error;
  }
}

async function listSet(coordinator: Coordinator, set: string): Promise<readonly Existing[]> {
  const lists = await inTurns(KINDS, async (kind) => {
    const items = await listAll((page) =>
      coordinator.call(recordRoutes(kind).list, { query: { ...page, set } }),
    );
    return items.map((found) => ({ ...found, kind }));
  });
  return lists.flat();
}

async function assertReferences(
  coordinator: Coordinator,
  documents: readonly Document[],
  known: ReadonlySet<string>,
  going: ReadonlySet<string>,
): Promise<void> {
  const asked = new Map<string, Promise<boolean>>();
  const isThere = (kind: Kind, name: string): Promise<boolean> => {
    const key = `${kind}/${name}`;
    const answer = asked.get(key) ?? find(coordinator, kind, name).then((found) => found !== null);
    asked.set(key, answer);
    return answer;
  };
  const findings: Finding[] = [];
  for (const { kind, spec, placeOf } of documents)
    for (const to of referencesOf(kind, spec)) {
      const key = `${to.kind}/${to.name}`;
      if (known.has(key)) continue;
      if (!going.has(key) && (await isThere(to.kind, to.name))) continue;
      findings.push({
        place: placeOf(['spec', to.field]),
        field: `spec.${to.field}`,
        text: going.has(key)
          ? `the ${kindName(to.kind)} ${to.name} would be pruned`
          : `there is no ${kindName(to.kind)} ${to.name}, here or on the coordinator`,
      });
    }
  if (findings.length === 0) return;
  throw new BilletError(
    'REFERENCE_INVALID',
    findings.map(({ place, field, text }) => `${place}: ${field}: ${text}`).join('\n'),
    {
      hint: 'write the missing document, or mend the name; nothing was changed',
      details: { findings },
    },
  );
}

async function inTurns<T, R>(items: readonly T[], work: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  for (let at = 0; at < items.length; at += AT_ONCE)
    results.push(...(await Promise.all(items.slice(at, at + AT_ONCE).map(work))));
  return results;
}
