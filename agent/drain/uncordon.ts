// Takes a drain back: what was stopped runs again, and work may come. Services are attached by the
// reconcile loop afterwards.

import { BilletError } from '#shared/errors.ts';
import type { DrainDeps } from './drain.ts';

/**
 * Resolves once the engine's units are active, the cluster's node takes pods, and nothing is held; one
 * line each of what was done. Safe to call again. Throws UNIT_FAILED, COMMAND_FAILED, STORE_FAILED: the
 * rest is then still held.
 */
export async function uncordon(deps: DrainDeps, signal: AbortSignal): Promise<readonly string[]> {
  const { cordon, units, cluster, attaching } = deps;
  const { record } = cordon;
  if (record === null) return ['nothing was held'];
  const done: string[] = [];
  if (record.units.length > 0) {
    // They stopped in order of what starts what; any of them may start the others.
    const names = [...record.units].reverse();
    await units.start(names, signal);
    const states = await units.states(names, signal);
    const down = names.filter((name) => states.get(name) !== 'active');
    if (down.length > 0)
      throw new BilletError('UNIT_FAILED', `${down.join(', ')} did not start again`, {
        hint: `on the node: journalctl -u ${down[0]} -n 50`,
      });
    done.push(`started ${names.join(' ')}`);
  }
  if (record.clusterNode !== null) {
    await cluster.uncordon(record.clusterNode, signal);
    done.push(`kubectl uncordon ${record.clusterNode}`);
  }
  await cordon.lift();
  attaching.wake();
  return [...done, 'services may be attached'];
}
