// Reads Kubernetes' nodes and pods as far as a drain needs them: which pods belong to the node, and why
// one would not move. Asks nobody.

import { z } from 'zod';
import type { SeenPod } from './seen.ts';

/** v1 NodeList of the Kubernetes API. */
export const ClusterNodes = z.object({
  items: z.array(
    z.object({
      metadata: z.object({ name: z.string() }),
      spec: z.object({ unschedulable: z.boolean().optional() }).default({}),
      status: z
        .object({ nodeInfo: z.object({ bootID: z.string().optional() }).optional() })
        .default({}),
    }),
  ),
});

/** v1 PodList. */
export const ClusterPods = z.object({
  items: z.array(
    z.object({
      metadata: z.object({
        name: z.string(),
        namespace: z.string(),
        annotations: z.record(z.string(), z.string()).default({}),
        ownerReferences: z
          .array(z.object({ kind: z.string(), controller: z.boolean().optional() }))
          .default([]),
        deletionTimestamp: z.string().optional(),
      }),
      spec: z
        .object({ volumes: z.array(z.object({ emptyDir: z.unknown().optional() })).default([]) })
        .default({ volumes: [] }),
      status: z.object({ phase: z.string().optional() }).default({}),
    }),
  ),
});
type Pod = z.infer<typeof ClusterPods>['items'][number];

/** Of a static pod: the kubelet shows it, and no API server can move it. */
const MIRROR = 'kubernetes.io/config.mirror';

export const podsSeen = (pods: readonly Pod[]): readonly SeenPod[] =>
  pods.map((pod) => ({
    name: `${pod.metadata.namespace}/${pod.metadata.name}`,
    belongs: belongs(pod),
    reason: reasonOf(pod),
  }));

function belongs({ metadata, status }: Pod): boolean {
  const isOver = status.phase === 'Succeeded' || status.phase === 'Failed';
  const isDaemon = metadata.ownerReferences.some(
    ({ kind, controller }) => kind === 'DaemonSet' && controller === true,
  );
  return isOver || isDaemon || MIRROR in metadata.annotations;
}

/** In kubectl's order of what it asks a person for. */
function reasonOf({ metadata, spec }: Pod): string {
  if (metadata.deletionTimestamp !== undefined) return 'it was told to end, and has not yet';
  if (!metadata.ownerReferences.some(({ controller }) => controller === true))
    return 'no controller would make it again elsewhere: delete it, or let it go';
  if (spec.volumes.some(({ emptyDir }) => emptyDir !== undefined))
    return 'it has data in an emptyDir, which would be lost: delete it, or let it go';
  return 'it was not evicted';
}

/** What kubectl said of each of these pods first: afterwards it only says that it waited. */
export function saidOf(pods: readonly string[], stderr: string): ReadonlyMap<string, string> {
  const said = new Map<string, string>();
  for (const line of stderr.split('\n'))
    for (const pod of pods) {
      const [namespace, name] = pod.split('/');
      if (!said.has(pod) && line.includes(`"${name}" -n "${namespace}"`))
        said.set(pod, line.trim().slice(0, 1024));
    }
  return said;
}
