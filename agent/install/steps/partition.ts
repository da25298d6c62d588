// Step partition: table and plain file systems, by the profile's definitions.

import { repart } from '../../drivers/repart.ts';
import { eventSeed } from '../event-ids.ts';
import { isLaidOutBy, layoutOf } from '../seen.ts';
import { layoutNow, type Step, seeAgain } from '../step.ts';

/** The table is written last: where it is, this was done, and is not done again over data. */
export const partition: Step = async (context, signal) => {
  const { ports, profile, journal, on } = context;
  const { event } = journal.record;
  const now = await seeAgain(context);
  if (isLaidOutBy(now, event) && layoutOf(now) !== null) return;
  // A key of the partition that was there before opens nothing any more.
  if (journal.record.recoveryKey !== null) await journal.note({ recoveryKey: null });
  const seed = eventSeed(event);
  await repart(ports.exec, { device: on.device, definitions: profile.dir, seed }, signal);
  await layoutNow(context);
};
