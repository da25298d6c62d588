// Changes of the catalogue: each one commit of the record, its event, and what has to follow it. What
// a record may name is in sources.ts, what its nodes come to in rules.ts.

import { isDeepStrictEqual } from 'node:util';
import { BilletError } from '#shared/errors.ts';
import { type CatalogKind, referencesOf } from '#shared/schema/catalog.ts';
import type { ResourceName } from '#shared/schema/ids.ts';
import type { Records } from '../records.ts';
import { ABSENT, type Change, type Found } from '../store/collection.ts';
import { assertRevision } from '../store/revision.ts';
import type { Condition } from '../store/store.ts';
import { transact } from '../store/transact.ts';
import { assertContent, assertHeld, type Images, publicationChanges } from './publications.ts';
import { type CatalogRecord, sourceOf } from './records.ts';
import { rolloutChange } from './rollout.ts';
import { reachesNodes } from './rules.ts';
import { sourceReader } from './sources.ts';
import { findUsers, inUse } from './users.ts';

type Spec = CatalogRecord['spec'];

export interface CatalogDeps {
  readonly records: Records;
  readonly images: Images;
}

/**
 * The same name and spec again returns the record that is there. CONFLICT for another spec;
 * REFERENCE_INVALID; NETBOOT_IMAGE_MISSING for a publication of what the registry has not.
 */
export async function createResource(
  { records, images }: CatalogDeps,
  actor: string,
  wanted: {
    readonly kind: CatalogKind;
    readonly name: ResourceName;
    readonly spec: Spec;
    readonly set: ResourceName | null;
  },
): Promise<Found<CatalogRecord>> {
  const { kind, name, spec, set } = wanted;
  const source = sourceOf(records.catalog, kind);
  await assertHeld(images, kind, spec);
  const done = await transact(records.store, `${kind} ${name}`, async () => {
    const existing = await source.get(name);
    const same = existing !== null && isDeepStrictEqual(existing.record.spec, spec);
    if (same && !existing.record.leaving) return null;
    if (same) {
      const record = { ...existing.record, leaving: false };
      return {
        changes: [source.put(name, record, existing.revision)],
        result: (revision) => ({ id: name, record, revision }),
      };
    }
    if (existing)
      throw new BilletError('CONFLICT', `the ${kind} ${name} exists, with another spec`, {
        hint: `choose another name, or change it: \`billet apply\`, \`billet ${kind} show ${name}\``,
      });
    const draft = blank(name, spec, set, records.clock.now());
    const { record, changes, conditions } = await consequences(records, actor, kind, null, draft);
    return {
      changes: [
        source.put(name, record, ABSENT),
        ...changes,
        told(records, actor, kind, name, 'created'),
      ],
      conditions,
      result: (revision) => ({ id: name, record, revision }),
    };
  });
  return done ?? (await source.get(name)) ?? absent(kind, name);
}

/**
 * The same spec again changes nothing. CONFLICT when it is another one and the record is no longer at
 * revision `ifMatch`; else as createResource, and NOT_FOUND.
 */
export async function putResource(
  { records, images }: CatalogDeps,
  actor: string,
  wanted: {
    readonly kind: CatalogKind;
    readonly name: ResourceName;
    readonly spec: Spec;
    readonly ifMatch: number | null;
  },
): Promise<Found<CatalogRecord>> {
  const { kind, name, spec, ifMatch } = wanted;
  const source = sourceOf(records.catalog, kind);
  await assertHeld(images, kind, spec);
  const done = await transact(records.store, `${kind} ${name}`, async () => {
    const found = (await source.get(name)) ?? absent(kind, name);
    const before = found.record;
    // Before the condition (RFC 9110 §13.1.1): the change may be there already, its answer lost.
    if (isDeepStrictEqual(before.spec, spec) && !before.leaving) return null;
    assertRevision(`the ${kind} ${name}`, found.revision, ifMatch);
    const draft = { ...before, spec, leaving: false };
    const { record, changes, conditions } = await consequences(records, actor, kind, before, draft);
    return {
      changes: [
        source.put(name, record, found.revision),
        ...changes,
        ...(reachesNodes(kind) ? [await rolloutChange(records, { kind, name, actor })] : []),
        told(records, actor, kind, name, 'changed'),
      ],
      conditions,
      result: (revision: number) => ({ id: name, record, revision }),
    };
  });
  return done ?? (await source.get(name)) ?? absent(kind, name);
}

/**
 * IN_USE, naming the users; NOT_FOUND. The record is marked first, so that nothing can begin to name
 * it between the look for users and its end: a coordinator that dies there leaves a marked record,
 * which this call deletes, and a change of it keeps.
 */
export async function deleteResource(
  records: Records,
  actor: string,
  kind: CatalogKind,
  name: ResourceName,
): Promise<void> {
  const source = sourceOf(records.catalog, kind);
  const mark = (leaving: boolean) =>
    transact(records.store, `${kind} ${name}`, async () => {
      const found = await source.get(name);
      if (found === null) return leaving ? absent(kind, name) : null;
      const record = { ...found.record, leaving };
      return {
        changes: [source.put(name, record, found.revision)],
        result: (revision) => ({ id: name, record, revision }),
      };
    });
  const marked = (await mark(true)) ?? absent(kind, name);
  const users = await findUsers(records, kind, name);
  if (users.count > 0) {
    await mark(false);
    throw inUse(kind, name, users);
  }
  const rollout = await records.rollouts.get(`${kind}.${name}`);
  const changes = [
    source.drop(name, marked.revision),
    ...(rollout ? [records.rollouts.drop(rollout.id, rollout.revision)] : []),
    told(records, actor, kind, name, 'deleted'),
  ];
  const done = await records.store.commit(
    changes.map(({ condition }) => condition),
    changes.map(({ write }) => write),
  );
  if (done === null)
    throw new BilletError('CONFLICT', `the ${kind} ${name} changed while it was to be deleted`, {
      hint: `look at it with \`billet ${kind} show ${name}\`, and decide again`,
    });
}

interface Consequences {
  readonly record: CatalogRecord;
  readonly changes: readonly Change[];
  readonly conditions: readonly Condition[];
}

/** What else a new spec has to have, or brings about. */
async function consequences(
  records: Records,
  actor: string,
  kind: CatalogKind,
  before: CatalogRecord | null,
  draft: CatalogRecord,
): Promise<Consequences> {
  const user = `${kind} ${draft.name}`;
  const reader = sourceReader(records.catalog, { fresh: true });
  for (const { kind: to, name } of referencesOf(kind, draft.spec))
    await reader.read(to, name as ResourceName, user);
  await reader.assertTogether(kind, draft, user);
  if (kind !== 'publication')
    return { record: draft, changes: [], conditions: reader.conditions() };
  assertContent(before, draft);
  const made = await publicationChanges(records, actor, before, draft);
  // What is written has its own condition.
  const read = reader.conditions().filter(({ key }) => !made.written.includes(key));
  return { ...made, conditions: [...read, ...made.conditions] };
}

const blank = (
  name: ResourceName,
  spec: Spec,
  set: ResourceName | null,
  now: number,
): CatalogRecord => ({
  name,
  spec,
  set,
  createdAt: now,
  leaving: false,
  current: null,
  publishedAt: null,
});

const told = (
  records: Records,
  actor: string,
  kind: CatalogKind,
  name: string,
  what: 'created' | 'changed' | 'deleted',
): Change =>
  records.events.tell({
    actor,
    kind: `${kind.replaceAll('-', '')}.${what}`,
    subject: `${kind}/${name}`,
    text: `the ${kind} ${name} was ${what}`,
  });

export function absent(kind: CatalogKind, name: string): never {
  throw new BilletError('NOT_FOUND', `no ${kind} ${name}`, { hint: `billet ${kind} list` });
}
