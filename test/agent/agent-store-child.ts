// A process for agent-store.peer.ts: one piece of work on a real object store. Kills itself (SIGKILL)
// at the nth change that its main thread makes to files, if told to.

import { appendFileSync } from 'node:fs';
import { openStore } from '../../agent/store/open-store.ts';
import { openLayout } from '../../shared/artifact/oci/layout.ts';
import type { ModuleRef } from '../../shared/schema/module.ts';
import type { TrustPolicy } from '../../shared/schema/trust-policy.ts';
import { watchDisk } from './agent-disk.ts';

export interface StoreWork {
  readonly work: 'pull' | 'compose' | 'collect';
  readonly dir: string;
  readonly layout: string;
  readonly policy: TrustPolicy;
  readonly modules: readonly ModuleRef[];
  /** Of the main thread. */
  readonly killAt: number | null;
  /** A byte for each change of the main thread. */
  readonly countPath: string | null;
}

const { work, dir, layout, policy, modules, killAt, countPath } = JSON.parse(
  process.argv[2] ?? '',
) as StoreWork;
const signal = new AbortController().signal;
const source = await openLayout(layout);
const store = await openStore({ dir, threads: 1 });
let passed = 0;
watchDisk(dir, async (_change, act) => {
  if (countPath !== null) appendFileSync(countPath, '.');
  if (passed++ === killAt) process.kill(process.pid, 'SIGKILL');
  return await act();
});
switch (work) {
  case 'pull':
    for (const module of modules) await store.ensureModule(module, { policy, source, signal });
    break;
  case 'compose': {
    const loaded = await Promise.all(modules.map((each) => store.loadModule(each, { policy })));
    await store.composeSystem(
      loaded.filter((each) => each !== null),
      null,
    );
    break;
  }
  case 'collect':
    await store.collect({ modules: modules.map(({ manifest }) => manifest), images: [] });
    break;
}
await store.close();
