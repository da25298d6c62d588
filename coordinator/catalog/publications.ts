// Publications: their content stays, their status moves, and the newest published one of a platform
// is what its nodes boot. A publication is published only when the registry was seen to have it all.

import { isDeepStrictEqual } from 'node:util';
import type { Digest } from '#shared/digest.ts';
import { BilletError } from '#shared/errors.ts';
import type { CatalogKind } from '#shared/schema/catalog.ts';
import type { ResourceName } from '#shared/schema/ids.ts';
import { PublicationSpec } from '#shared/schema/publication.ts';
import type { Records } from '../records.ts';
import type { Change, Found } from '../store/collection.ts';
import type { Condition } from '../store/store.ts';
import type { CatalogRecord } from './records.ts';
import { rolloutChange } from './rollout.ts';
import { currentOf } from './rules.ts';

/** What the coordinator's own registry has. */
export interface Images {
  holds(repository: string, digest: Digest): Promise<boolean>;
}

/** NETBOOT_IMAGE_MISSING, naming the first part that a published one lacks. */
export async function assertHeld(
  images: Images,
  kind: CatalogKind,
  spec: CatalogRecord['spec'],
): Promise<void> {
  if (kind !== 'publication') return;
  const { status, boot, root } = PublicationSpec.parse(spec);
  if (status !== 'published') return;
  const parts: (readonly [string, string, Digest])[] = [
    ['manifest', boot.repository, boot.manifest],
    ['kernel', boot.repository, boot.kernel],
    ['initramfs', boot.repository, boot.initramfs],
  ];
  if (boot.uki !== null) parts.push(['UKI', boot.repository, boot.uki]);
  if (boot.loader !== null) parts.push(['loader', boot.repository, boot.loader]);
  if (root !== null)
    parts.push(
      ['manifest of the root', root.repository, root.manifest],
      ['root', root.repository, root.image],
    );
  for (const [what, repository, digest] of parts)
    if (!(await images.holds(repository, digest)))
      throw new BilletError(
        'NETBOOT_IMAGE_MISSING',
        `the registry has no ${what} ${digest} in ${repository}`,
        {
          hint: `push it first: billet image push DIR ${repository}:TAG`,
          details: { repository, digest },
        },
      );
}

/** CONFLICT: who has booted a publication has to find the same under its name. */
export function assertContent(before: CatalogRecord | null, next: CatalogRecord): void {
  if (before === null) return;
  const [old, wanted] = [before, next].map(({ spec }) => PublicationSpec.parse(spec));
  if (old === undefined || wanted === undefined || old.status === 'draft') return;
  const content = ({ platform, boot, root }: PublicationSpec) => ({ platform, boot, root });
  if (isDeepStrictEqual(content(old), content(wanted))) return;
  throw new BilletError(
    'CONFLICT',
    `the publication ${next.name} is ${old.status}: its content stays`,
    {
      hint: 'publish the other content under another name, and retire this one',
      details: { status: old.status },
    },
  );
}

/** The record with its time, and its platform when another publication is its current one now. */
export async function publicationChanges(
  records: Records,
  actor: string,
  before: CatalogRecord | null,
  draft: CatalogRecord,
): Promise<{
  readonly record: CatalogRecord;
  readonly changes: readonly Change[];
  readonly written: readonly string[];
  /** That the publication which takes its place still is published. */
  readonly conditions: readonly Condition[];
}> {
  const spec = PublicationSpec.parse(draft.spec);
  const was = before === null ? 'draft' : PublicationSpec.parse(before.spec).status;
  const news = spec.status === 'published' && was !== 'published';
  const record = { ...draft, publishedAt: news ? records.clock.now() : draft.publishedAt };
  const nothing = { record, changes: [], written: [], conditions: [] };
  if (spec.status === was) return nothing;
  const { publication, platform } = records.catalog;
  const found = await platform.get(spec.platform);
  if (found === null) return nothing;
  const others: Found<{ name: ResourceName; spec: PublicationSpec; publishedAt: number | null }>[] =
    [];
  for await (const one of publication.all())
    if (one.record.spec.platform === spec.platform && one.id !== record.name) others.push(one);
  const current = news
    ? record.name
    : currentOf([...others.map((one) => one.record), { ...record, spec }]);
  if (current === found.record.current) return nothing;
  const heir = others.find(({ id }) => id === current);
  return {
    record,
    changes: [
      platform.put(found.id, { ...found.record, current }, found.revision),
      await rolloutChange(records, { kind: 'platform', name: spec.platform, actor }),
      records.events.tell({
        actor,
        kind: current === null ? 'platform.unpublished' : 'platform.published',
        subject: `platform/${spec.platform}`,
        text:
          current === null
            ? `the platform ${spec.platform} has no published image`
            : `the platform ${spec.platform} boots ${current}`,
        details: { publication: current },
      }),
    ],
    written: [platform.key(found.id)],
    conditions: heir ? [{ key: publication.key(heir.id), revision: heir.revision }] : [],
  };
}
