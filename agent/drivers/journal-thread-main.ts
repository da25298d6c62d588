// The entry of the thread that writes to journald.

import { serveJournal } from './journal-thread.ts';

serveJournal();
