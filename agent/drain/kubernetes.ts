// The Kubernetes cluster that a node is part of, by kubectl: its node and pods, cordon and drain. Which
// node it is, is seen by the boot id. Decides nothing.

import { BilletError } from '#shared/errors.ts';
import type { Exec } from '../drivers/exec.ts';
import { exists } from '../drivers/files.ts';
import type { Units } from '../drivers/units.ts';
import { ClusterNodes, ClusterPods, podsSeen } from './pods.ts';
import type { SeenCluster } from './seen.ts';

export interface Cluster {
  /** Null where this machine is part of none. */
  observe(signal: AbortSignal): Promise<SeenCluster | null>;
  /** Throws COMMAND_FAILED. */
  cordon(node: string, signal: AbortSignal): Promise<void>;
  uncordon(node: string, signal: AbortSignal): Promise<void>;
  /** Evicts what may be, for so long. What it said, also when something stays. */
  drain(node: string, timeoutSeconds: number, signal: AbortSignal): Promise<string>;
}

export interface KubernetesOptions {
  readonly exec: Exec;
  readonly units: Pick<Units, 'states'>;
  readonly bootId: string;
  /** Whose node it is if the cluster does not know boot ids. */
  readonly hostname: string;
  readonly program?: string;
  /** The first that there is. A kubelet's own may not read all that a drain has to. */
  readonly kubeconfigs?: readonly string[];
}

const KUBECONFIGS = [
  '/etc/billet/kubeconfig',
  '/etc/kubernetes/admin.conf',
  '/etc/rancher/k3s/k3s.yaml',
];
/** Each runs pods on this machine. */
const KUBELETS = ['kubelet.service', 'k3s.service', 'k3s-agent.service'];

export function kubernetes(options: KubernetesOptions): Cluster {
  const { exec, units, bootId, hostname, program = 'kubectl' } = options;
  const { kubeconfigs = KUBECONFIGS } = options;

  async function run(args: readonly string[], signal: AbortSignal, timeout = '10s') {
    const file = await firstOf(kubeconfigs);
    if (file === null) throw noKubeconfig('a drain', kubeconfigs);
    const common = ['--kubeconfig', file, `--request-timeout=${timeout}`] as const;
    return await exec([program, ...common, ...args], signal);
  }

  async function json(args: readonly string[], signal: AbortSignal): Promise<unknown> {
    const { code, stdout, stderr } = await run([...args, '--output=json'], signal);
    if (code === 0) return JSON.parse(stdout);
    throw failed(args, stderr);
  }

  async function member(signal: AbortSignal): Promise<SeenCluster | null> {
    const { items } = ClusterNodes.parse(await json(['get', 'nodes'], signal));
    const own =
      items.find(({ status }) => status.nodeInfo?.bootID === bootId) ??
      items.find(({ metadata }) => metadata.name === hostname);
    if (own === undefined) return null;
    const { name } = own.metadata;
    const selector = `--field-selector=spec.nodeName=${name}`;
    const pods = await json(['get', 'pods', '--all-namespaces', selector], signal);
    return {
      kind: 'member',
      node: name,
      cordoned: own.spec.unschedulable === true,
      pods: podsSeen(ClusterPods.parse(pods).items),
    };
  }

  async function change(verb: 'cordon' | 'uncordon', node: string, signal: AbortSignal) {
    const { code, stderr } = await run([verb, node], signal);
    if (code !== 0) throw failed([verb, node], stderr);
  }

  return {
    async observe(signal) {
      if ((await firstOf(kubeconfigs)) === null) {
        const states = await units.states(KUBELETS, signal);
        const kubelet = KUBELETS.find((name) => states.get(name) === 'active');
        if (kubelet === undefined) return null;
        return { kind: 'fault', reason: noKubeconfig(kubelet, kubeconfigs).message };
      }
      try {
        return await member(signal);
      } catch (error) {
        if (!(error instanceof BilletError)) throw error;
        return { kind: 'fault', reason: error.message };
      }
    },
    cordon: (node, signal) => change('cordon', node, signal),
    uncordon: (node, signal) => change('uncordon', node, signal),
    async drain(node, timeoutSeconds, signal) {
      const limit = `--timeout=${Math.max(1, Math.floor(timeoutSeconds))}s`;
      const args = ['drain', node, '--ignore-daemonsets', '--delete-emptydir-data=false', limit];
      return (await run(args, signal)).stderr;
    },
  };
}

const failed = (args: readonly string[], stderr: string) =>
  new BilletError('COMMAND_FAILED', `kubectl ${args.join(' ')}: ${stderr.trim().slice(-500)}`, {
    hint: 'check that the cluster answers, and that the kubeconfig may drain nodes',
  });

const noKubeconfig = (who: string, places: readonly string[]) =>
  new BilletError('COMMAND_FAILED', `${who} needs a kubeconfig that may drain this node`, {
    hint: `put one to ${places[0]}`,
  });

async function firstOf(paths: readonly string[]): Promise<string | null> {
  for (const path of paths) if (await exists(path)) return path;
  return null;
}
