// Puts the drain of this node together: engine, cluster and control groups where Debian has them, and
// the reconcile loop. Wires; decides nothing.

import { hostname } from 'node:os';
import type { Clock } from '#shared/clock.ts';
import type { Exec } from '../drivers/exec.ts';
import type { Units } from '../drivers/units.ts';
import type { ReconcileLoop } from '../reconcile/loop.ts';
import type { Services } from '../reconcile/services.ts';
import { drainTask, uncordonTask } from '../tasks/drain.ts';
import type { TaskKind } from '../tasks/kind.ts';
import type { Cordon } from './cordon.ts';
import { docker } from './docker.ts';
import type { Attaching } from './drain.ts';
import { kubernetes } from './kubernetes.ts';
import { processesIn } from './processes.ts';

/** Where the engine, the cluster and the control groups are, if not where Debian has them. */
export interface DrainSites {
  readonly socket?: string;
  readonly kubeconfigs?: readonly string[];
  readonly cgroups?: string;
}

export interface DrainWiring {
  readonly sites?: DrainSites | undefined;
  readonly clock: Clock;
  readonly exec: Exec;
  readonly bootId: string;
  readonly cordon: Cordon;
  readonly loop: Pick<ReconcileLoop, 'status' | 'wake'>;
  readonly services: Pick<Services, 'observe'>;
  readonly units: Units;
}

export function drainTasks(wiring: DrainWiring): readonly TaskKind[] {
  const { clock, exec, bootId, cordon, units } = wiring;
  const { socket, kubeconfigs, cgroups: root } = wiring.sites ?? {};
  const name = hostname().toLowerCase();
  const deps = {
    ...{ clock, cordon, units, attaching: attachingOf(wiring) },
    engine: docker({ exec, units, ...(socket === undefined ? {} : { socket }) }),
    cluster: kubernetes({
      ...{ exec, units, bootId, hostname: name },
      ...(kubeconfigs === undefined ? {} : { kubeconfigs }),
    }),
    processes: processesIn(root === undefined ? {} : { root }),
  };
  return [drainTask(deps), uncordonTask(deps)];
}

/** The loop as a drain sees it. */
const attachingOf = ({ loop, services }: Pick<DrainWiring, 'loop' | 'services'>): Attaching => ({
  wake: loop.wake,
  status() {
    const { held, lastReconcile } = loop.status;
    const failure = lastReconcile?.outcome === 'failed' ? (lastReconcile.message ?? null) : null;
    return { held, failure };
  },
  async services(signal) {
    const found = await services.observe(signal);
    return found.map(({ module, requires }) => ({ name: module.name, requires }));
  },
});
