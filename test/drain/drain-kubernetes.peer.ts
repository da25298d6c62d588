// A drain with the real kubectl, against a small API server of the tests' own: what is evicted, what
// belongs to the node, and what would not move, in kubectl's words.

import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, before, beforeEach, test } from 'node:test';
import { cacheDirOf } from '#shared/build-cache.ts';
import { openCordon } from '../../agent/drain/cordon.ts';
import { type DrainDeps, drain } from '../../agent/drain/drain.ts';
import { kubernetes } from '../../agent/drain/kubernetes.ts';
import { uncordon } from '../../agent/drain/uncordon.ts';
import { type Exec, hostExec } from '../../agent/drivers/exec.ts';
import { peerTools } from '../../setup/build/peer-tools.ts';
import { systemClock } from '../../shared/clock.ts';
import { DrainOrder, type DrainReport } from '../../shared/schema/drain.ts';
import { TaskId } from '../../shared/schema/ids.ts';
import { type KubernetesApi, kubernetesApi } from './kubernetes-api-fixture.ts';

const never = new AbortController().signal;
const BOOT = '11111111-1111-4111-8111-111111111111';
const MIRROR = { 'kubernetes.io/config.mirror': 'x' };
let program: string;
let api: KubernetesApi;
let dir: string;
let tasks = 0;

before(async () => {
  const context = { cacheDir: cacheDirOf(process.env), clock: systemClock };
  program = (await peerTools({ ...context, signal: AbortSignal.timeout(300_000) })).kubectl;
});
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'billet-kubectl-'));
  api = await kubernetesApi();
  api.nodes.set('node-1', { bootID: BOOT, unschedulable: false });
  await writeFile(join(dir, 'kubeconfig'), kubeconfig(api.url));
});
afterEach(async () => {
  await api.close();
  await rm(dir, { recursive: true });
});

/** JSON is YAML. */
const kubeconfig = (server: string) =>
  JSON.stringify({
    ...{ apiVersion: 'v1', kind: 'Config', 'current-context': 'test' },
    clusters: [{ name: 'test', cluster: { server } }],
    users: [{ name: 'test', user: {} }],
    contexts: [{ name: 'test', context: { cluster: 'test', user: 'test' } }],
  });

/** What kubectl learns of a server stays in the directory of the test. */
const kubectl: Exec = ([file, ...args], signal, input) =>
  hostExec([file, '--cache-dir', join(dir, 'cache'), ...args], signal, input);

async function depsOf(exec: Exec = kubectl): Promise<DrainDeps> {
  const cordon = await openCordon(dir);
  const units = {
    ...{ start: async () => undefined, stop: async () => undefined },
    states: async () => new Map(),
  };
  return {
    ...{ clock: systemClock, cordon, units, processes: async () => [] },
    attaching: {
      wake: () => undefined,
      status: () => ({ held: cordon.held, failure: null }),
      services: async () => [],
    },
    engine: { observe: async () => null, stop: async () => '' },
    cluster: kubernetes({
      ...{ exec, units, bootId: BOOT, hostname: 'elsewhere', program },
      kubeconfigs: [join(dir, 'none'), join(dir, 'kubeconfig')],
    }),
  };
}

async function drained(deps: DrainDeps, timeoutSeconds: number): Promise<DrainReport> {
  tasks += 1;
  const task = TaskId.parse(`t-${String(tasks).padStart(16, '0')}`);
  return await drain(task, DrainOrder.parse({ timeoutSeconds }), deps, never);
}

const put = (...pods: Parameters<typeof podRow>[]) => {
  for (const row of pods) podRow(...row);
};
const podRow = (name: string, fields: object = { owner: 'ReplicaSet' }) =>
  api.pods.set(name, { name, ...fields });
const stays = ({ stayed }: DrainReport) => stayed.map(({ kind, name }) => `${kind} ${name}`);

test('pods move, what belongs to the node stays, and the node takes pods again afterwards', async () => {
  put(['web'], ['api'], ['proxy', { owner: 'DaemonSet' }]);
  put(['static', { annotations: MIRROR }], ['job', { owner: 'ReplicaSet', phase: 'Succeeded' }]);
  const deps = await depsOf();
  const report = await drained(deps, 60);
  assert.deepEqual([report.empty, report.stayed], [true, []]);
  assert.deepEqual(
    [...api.pods.keys()].filter((name) => name !== 'job'),
    ['proxy', 'static'],
  );
  assert.equal(api.nodes.get('node-1')?.unschedulable, true);
  assert.equal(api.changes[0], 'PATCH /api/v1/nodes/node-1');
  await uncordon(deps, never);
  assert.equal(api.nodes.get('node-1')?.unschedulable, false);
});

test('a pod that its disruption budget keeps is named with it, and moves when it may', async () => {
  put(['web'], ['db']);
  api.protectedPods.add('db');
  const deps = await depsOf();
  // kubectl tries again every 5 s, and says why when it has ended.
  const report = await drained(deps, 24);
  assert.deepEqual(stays(report), ['pod default/db']);
  assert.match(report.stayed[0]?.reason ?? '', /violate the pod's disruption budget/);
  assert.equal(api.nodes.get('node-1')?.unschedulable, true);
  api.protectedPods.clear();
  assert.equal((await drained(deps, 60)).empty, true);
});

test('data in an emptyDir, and what nobody would make again, is left where it is', async () => {
  put(
    ['web'],
    ['cache', { owner: 'ReplicaSet', volumes: [{ name: 'v', emptyDir: {} }] }],
    ['bare', {}],
  );
  const report = await drained(await depsOf(), 3);
  assert.deepEqual(stays(report).sort(), [
    'pod default/bare',
    'pod default/cache',
    'pod default/web',
  ]);
  const reasonOf = (name: string) =>
    report.stayed.find((one) => one.name === `default/${name}`)?.reason;
  assert.match(reasonOf('cache') ?? '', /emptyDir/);
  assert.match(reasonOf('bare') ?? '', /no controller/);
  assert.equal(api.pods.size, 3);
});

test('a cluster that does not answer is what stays: nothing is stopped blindly', async () => {
  const deps = await depsOf();
  await api.close();
  const report = await drained(deps, 2);
  assert.deepEqual(stays(report), ['cluster kubernetes']);
  assert.match(report.stayed[0]?.reason ?? '', /kubectl get nodes: .*refused/);
  assert.equal(deps.cordon.held, 'new');
});

test('a machine that the cluster does not have is part of none', async () => {
  api.nodes.set('node-1', { bootID: '22222222-2222-4222-8222-222222222222', unschedulable: false });
  const deps = await depsOf();
  assert.equal(await deps.cluster.observe(never), null);
  assert.equal((await drained(deps, 10)).empty, true);
  assert.deepEqual(api.changes, []);
});

test('what somebody else had cordoned stays so when the drain is taken back', async () => {
  api.nodes.set('node-1', { bootID: BOOT, unschedulable: true });
  const deps = await depsOf();
  assert.equal((await drained(deps, 30)).empty, true);
  await uncordon(deps, never);
  assert.equal(api.nodes.get('node-1')?.unschedulable, true);
});

test('a kubelet without a kubeconfig for us is what stays', async () => {
  const units = { states: async () => new Map([['kubelet.service', 'active'] as const]) };
  const none = {
    ...{ exec: kubectl, units, bootId: BOOT, hostname: 'x', program },
    kubeconfigs: ['/none'],
  };
  const seen = await kubernetes(none).observe(never);
  assert.deepEqual(seen, {
    kind: 'fault',
    reason: 'kubelet.service needs a kubeconfig that may drain this node',
  });
});

test('without --ignore-daemonsets kubectl refuses, and nothing moves', async () => {
  put(['web'], ['proxy', { owner: 'DaemonSet' }]);
  const mutated: Exec = ([file, ...args], signal) =>
    kubectl([file, ...args.filter((word) => word !== '--ignore-daemonsets')], signal);
  assert.deepEqual(stays(await drained(await depsOf(mutated), 3)), ['pod default/web']);
  assert.equal(api.pods.size, 2);
});
