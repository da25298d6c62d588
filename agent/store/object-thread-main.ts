// The entry of a thread of the object store.

import { serveObjects } from './object-thread.ts';

serveObjects();
