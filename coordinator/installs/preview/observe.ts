// Reads what a preview is made of: the plan of the instance's node, and the disks that its machine last
// told of. Writes nothing.

import { BilletError } from '#shared/errors.ts';
import type { InstanceId } from '#shared/schema/ids.ts';
import type { InstallPreview } from '#shared/schema/install-preview.ts';
import { isoTime } from '../../ids.ts';
import { getInstance } from '../../nodes/instance-writes.ts';
import type { InstanceRecord } from '../../nodes/records.ts';
import type { Records } from '../../records.ts';
import { planOf } from '../order-writes.ts';
import type { InstallReports } from '../reports.ts';
import { plannedOf } from '../rules.ts';
import { preview } from './rules.ts';

export interface PreviewOrder {
  readonly wipeId: InstallPreview['plan']['wipeId'];
  readonly diskSerial: string | null;
}

/** INSTALL_PLAN_MISSING, FACTS_MISSING, NOT_FOUND. */
export async function previewInstall(
  { records, installs }: { readonly records: Records; readonly installs: InstallReports },
  id: InstanceId,
  order: PreviewOrder,
): Promise<InstallPreview> {
  const { record } = await getInstance(records, id);
  const plan = plannedOf(order, await planOf(records, record));
  const heard = await installs.newest(id);
  const { candidates: reported = [], event } = heard?.report ?? {};
  const isReport = heard !== null && reported.length > 0 && event === record.install?.event;
  const disks = isReport ? reported.map(({ disk }) => disk) : factsOf(record).disks;
  return {
    plan,
    seen: isReport ? 'report' : 'facts',
    seenAt: isReport ? isoTime(heard.at) : null,
    ...preview(plan, { disks, reported: isReport ? reported : [] }),
  };
}

function factsOf({ id, facts }: InstanceRecord) {
  if (facts !== null) return facts;
  throw new BilletError('INSTALL_DISKS_UNKNOWN', `no machine has told yet which disks ${id} has`, {
    hint: 'boot it from the medium: it tells when it enrolls, and installs only what fits its plan',
  });
}
