// Opens the journal whatever is in it: one that no agent wrote is set aside for a person to look at,
// which is safe, since the world is observed before anything is planned.

import { BilletError } from '#shared/errors.ts';
import { setAside } from '../checked-file.ts';
import { type Journal, openJournal } from './journal.ts';

export interface Recovered {
  readonly journal: Journal;
  /** JOURNAL_CORRUPT, or none. */
  readonly damage: readonly BilletError[];
}

export async function journalOrAnew(path: string): Promise<Recovered> {
  try {
    return { journal: await openJournal(path), damage: [] };
  } catch (error) {
    if (!(error instanceof BilletError) || error.code !== 'JOURNAL_CORRUPT') throw error;
    await setAside(path);
    return { journal: await openJournal(path), damage: [error] };
  }
}
