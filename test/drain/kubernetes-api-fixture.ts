// A small Kubernetes API server of the tests' own, in memory: nodes, pods, daemon sets and evictions,
// as far as the real kubectl asks for them (Kubernetes API reference v1.32; evictions: "API-initiated
// Eviction"). It schedules nothing and has no kubelet: an evicted pod is gone.

import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface ApiPod {
  readonly name: string;
  /** Whose controller made it; none for a pod that somebody made. */
  readonly owner?: 'ReplicaSet' | 'DaemonSet';
  readonly annotations?: Readonly<Record<string, string>>;
  readonly volumes?: readonly object[];
  readonly phase?: string;
}

export interface KubernetesApi {
  readonly url: string;
  readonly nodes: Map<string, { bootID: string; unschedulable: boolean }>;
  /** In the namespace `default`, all on `node-1`. */
  readonly pods: Map<string, ApiPod>;
  /** Pods that a disruption budget keeps. */
  readonly protectedPods: Set<string>;
  /** Methods and paths of requests that changed something, in order. */
  readonly changes: string[];
  close(): Promise<void>;
}

const CORE = [
  ['nodes', 'Node', false],
  ['pods', 'Pod', true],
  ['pods/eviction', 'Eviction', true],
] as const;
const VERBS = ['create', 'delete', 'get', 'list', 'patch', 'update'];

export async function kubernetesApi(): Promise<KubernetesApi> {
  const api: Omit<KubernetesApi, 'url' | 'close'> = {
    nodes: new Map(),
    pods: new Map(),
    protectedPods: new Set(),
    changes: [],
  };
  const server = createServer((request, response) => {
    void readBody(request).then((body) => {
      const { pathname } = new URL(request.url ?? '', 'http://api');
      const method = request.method ?? 'GET';
      if (method !== 'GET') api.changes.push(`${method} ${pathname}`);
      send(response, answer(api, method, pathname, body));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    ...api,
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

type Answer = readonly [status: number, body: object];

function answer(
  api: Omit<KubernetesApi, 'url' | 'close'>,
  method: string,
  path: string,
  body: string,
): Answer {
  const discovered = DISCOVERY[path];
  if (discovered) return [200, discovered];
  if (path === '/api/v1/nodes')
    return [
      200,
      listOf(
        'NodeList',
        [...api.nodes.keys()].map((name) => nodeOf(api, name)),
      ),
    ];
  if (path === '/api/v1/pods') return [200, listOf('PodList', [...api.pods.values()].map(podOf))];
  const [, kind, name = '', sub] =
    /^\/(?:api|apis\/apps)\/v1\/(?:namespaces\/default\/)?(nodes|pods|daemonsets)\/([^/]+)(?:\/(eviction))?$/.exec(
      path,
    ) ?? [];
  if (kind === 'daemonsets')
    return [200, { ...META('apps/v1', 'DaemonSet'), metadata: { name, namespace: 'default' } }];
  if (kind === 'nodes' && api.nodes.has(name)) {
    if (method === 'PATCH') patchNode(api, name, body);
    return [200, nodeOf(api, name)];
  }
  const pod = kind === 'pods' ? api.pods.get(name) : undefined;
  if (!pod) return status(404, 'NotFound', `${kind} "${name}" not found`);
  if (sub === undefined) return [200, podOf(pod)];
  // "API-initiated Eviction": 429 while a PodDisruptionBudget does not allow it.
  if (api.protectedPods.has(name))
    return status(
      429,
      'TooManyRequests',
      "Cannot evict pod as it would violate the pod's disruption budget.",
    );
  api.pods.delete(name);
  return status(201, 'Success', '');
}

function patchNode(api: Pick<KubernetesApi, 'nodes'>, name: string, body: string): void {
  const node = api.nodes.get(name);
  const { spec } = JSON.parse(body) as { spec?: { unschedulable?: boolean | null } };
  if (node) node.unschedulable = spec?.unschedulable === true;
}

const META = (apiVersion: string, kind: string) => ({ apiVersion, kind });

const nodeOf = ({ nodes }: Pick<KubernetesApi, 'nodes'>, name: string) => {
  const { bootID = '', unschedulable = false } = nodes.get(name) ?? {};
  return {
    ...META('v1', 'Node'),
    metadata: { name, uid: `uid-${name}` },
    spec: unschedulable ? { unschedulable } : {},
    status: { nodeInfo: { bootID } },
  };
};

const podOf = ({ name, owner, annotations = {}, volumes = [], phase = 'Running' }: ApiPod) => ({
  ...META('v1', 'Pod'),
  metadata: {
    ...{ name, namespace: 'default', uid: `uid-${name}`, annotations },
    ownerReferences: owner
      ? [{ apiVersion: 'apps/v1', kind: owner, name: `${name}-set`, uid: 'u', controller: true }]
      : [],
  },
  spec: { nodeName: 'node-1', volumes, containers: [{ name: 'main', image: 'busybox' }] },
  status: { phase },
});

const listOf = (kind: string, items: readonly object[]) => ({
  ...META('v1', kind),
  metadata: { resourceVersion: '1' },
  items,
});

const status = (code: number, reason: string, message: string): Answer => [
  code,
  {
    ...META('v1', 'Status'),
    ...{ metadata: {}, status: code < 300 ? 'Success' : 'Failure', reason, message, code },
  },
];

const resources = (
  groupVersion: string,
  rows: readonly (readonly [string, string, boolean])[],
) => ({
  ...META('v1', 'APIResourceList'),
  groupVersion,
  resources: rows.map(([name, kind, namespaced]) => ({
    ...{ name, singularName: '', namespaced, kind, verbs: VERBS },
    ...(kind === 'Eviction' ? { group: 'policy', version: 'v1' } : {}),
  })),
});

const APPS = { groupVersion: 'apps/v1', version: 'v1' };
const DISCOVERY: Readonly<Record<string, object>> = {
  '/api': { ...META('v1', 'APIVersions'), versions: ['v1'], serverAddressByClientCIDRs: [] },
  '/apis': {
    ...META('v1', 'APIGroupList'),
    groups: [{ name: 'apps', versions: [APPS], preferredVersion: APPS }],
  },
  '/api/v1': resources('v1', CORE),
  '/apis/apps/v1': resources('apps/v1', [['daemonsets', 'DaemonSet', true]]),
};

async function readBody(request: IncomingMessage): Promise<string> {
  let text = '';
  for await (const chunk of request.setEncoding('utf8')) text += chunk;
  return text;
}

function send(response: ServerResponse, [code, body]: Answer): void {
  response.writeHead(code, { 'content-type': 'application/json' });
  response.end(JSON.stringify(body));
}
