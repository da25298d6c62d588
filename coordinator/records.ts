// Every collection of the coordinator over one store. Wires; decides nothing.

import type { Clock } from '#shared/clock.ts';
import { credentialRecords } from './access/credentials.ts';
import { returnRecords } from './backup/records.ts';
import { catalogRecords } from './catalog/records.ts';
import { claimRecords } from './claims/records.ts';
import { drainRecords } from './drain/records.ts';
import { eventRecords } from './events/records.ts';
import { installRecords } from './installs/records.ts';
import { comebackRecords } from './nodes/comebacks.ts';
import { nodeRecords } from './nodes/records.ts';
import { tokenRecords } from './nodes/tokens.ts';
import { signalRecords } from './signals/records.ts';
import type { Store } from './store/store.ts';
import { taskRecords } from './tasks/records.ts';

export type Records = ReturnType<typeof records>;

export const records = (store: Store, clock: Clock) => ({
  store,
  clock,
  events: eventRecords(store, clock),
  tokens: tokenRecords(store),
  credentials: credentialRecords(store),
  ...catalogRecords(store),
  ...claimRecords(store),
  ...nodeRecords(store),
  ...taskRecords(store),
  ...returnRecords(store),
  ...signalRecords(store),
  ...drainRecords(store),
  ...comebackRecords(store),
  ...installRecords(store),
});
