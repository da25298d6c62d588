// The entry of an object thread when the agent runs from source. A bundle starts its own main.

import { runWorker } from './worker.ts';

runWorker();
