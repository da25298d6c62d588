// The entry of the journal thread when the agent runs from source. A bundle starts its own main.

import { runJournalThread } from './journal-thread.ts';

runJournalThread();
