// The system image of a generation: its modules pulled and verified, merged, sealed and mounted.

import type { Tree } from '#shared/artifact/composefs/tree.ts';
import { assertRequirements } from '#shared/artifact/module/requirements.ts';
import type { Digest } from '#shared/digest.ts';
import { BilletError } from '#shared/errors.ts';
import type { Desired } from '#shared/schema/desired.ts';
import type { Condition } from '#shared/schema/heartbeat.ts';
import type { ModuleRef } from '#shared/schema/module.ts';
import type { TrustPolicy } from '#shared/schema/trust-policy.ts';
import type { MountedImage, Store, StoredModule } from '../store/store.ts';
import type { BootRecord } from './boot-record.ts';
import type { BootPorts, Uplink } from './ports.ts';

export interface SystemRequest {
  readonly desired: Desired;
  /** The last good generation: its modules are exempt from floors. */
  readonly good: Desired | null;
  readonly record: BootRecord;
  readonly policy: TrustPolicy;
  readonly store: Store;
  readonly uplink: Uplink | null;
  /** Of the running kernel. */
  readonly kernelRelease: string;
}

export interface System {
  readonly modules: readonly StoredModule[];
  readonly digest: Digest;
  readonly tree: Tree;
  readonly mounted: MountedImage;
  readonly conditions: readonly Condition[];
}

const PROGRESS_MS = 500;

/** The new root is mounted at `sysroot` when it resolves; on an error nothing is mounted there. */
export async function mountSystem(
  ports: BootPorts,
  request: SystemRequest,
  signal: AbortSignal,
): Promise<System> {
  const { log, sysroot } = ports;
  const { store, desired } = request;
  const modules = await pullWithRoom(ports, request, signal);
  const system = await store.composeSystem(modules, request.kernelRelease);
  log.marker('composed', { digest: system.digest, modules: modules.length });
  log.marker('sealed', { verity: store.verity });
  const mounted = await store.mountImage(system.digest, sysroot);
  log.marker('mounted', { verity: mounted.verity });
  const conditions = [
    ...mounted.conditions,
    ...modules.flatMap(({ ref, findings }) =>
      findings.map(({ code, message, hint }) => condition(code, `${ref.name}: ${message}`, hint)),
    ),
    ...(desired.systemImage === null || desired.systemImage === system.digest
      ? []
      : [differs(desired.systemImage, system.digest)]),
  ];
  return { modules, digest: system.digest, tree: system.tree, mounted, conditions };
}

/** A disk that older generations fill is cleared of them once: nothing of them runs yet. */
async function pullWithRoom(
  ports: BootPorts,
  request: SystemRequest,
  signal: AbortSignal,
): Promise<StoredModule[]> {
  try {
    return await pullModules(ports, request, signal);
  } catch (error) {
    if (!(error instanceof BilletError) || error.code !== 'STORE_FULL') throw error;
    const kept = [...request.desired.modules, ...(request.good?.modules ?? [])];
    const gone = await request.store.collect({
      modules: kept.map(({ manifest }) => manifest),
      images: kept.map(({ image }) => image),
    });
    if (gone.modules + gone.images + gone.objects === 0) throw error;
    ports.log.failure('pulled', error);
    return await pullModules(ports, request, signal);
  }
}

async function pullModules(
  ports: BootPorts,
  { desired, good, record, policy, store, uplink }: SystemRequest,
  signal: AbortSignal,
): Promise<StoredModule[]> {
  const refs = desired.modules.filter(({ kind }) => kind === 'system');
  assertComplete(desired);
  const progress = pullProgress(ports, refs);
  const exempt = new Set(good?.modules.map(({ manifest }) => manifest));
  const abort = new AbortController();
  const both = AbortSignal.any([signal, abort.signal]);
  const pulls = refs.map(async (ref) => {
    const trust = { policy, exempt, floor: record.floors[ref.name] };
    const held = await store.loadModule(ref, trust);
    if (held !== null) return held;
    if (uplink === null) throw offline(ref);
    const source = uplink.sourceFor(ref, both);
    const onProgress = (done: number, total: number) => progress(ref, done, total);
    return await store.ensureModule(ref, { ...trust, source, signal: both, onProgress });
  });
  try {
    const modules = await Promise.all(pulls);
    const bytes = modules.reduce((sum, each) => sum + each.pulledBytes, 0);
    ports.log.marker('pulled', { modules: modules.length, bytes });
    const findings = modules.reduce((sum, each) => sum + each.findings.length, 0);
    ports.log.marker('verified', { modules: modules.length, policy: policy.mode, findings });
    assertRequirements({
      node: desired.node,
      present: desired.modules.map(({ name }) => name),
      labels: modules.map(({ label }) => label),
    });
    return modules;
  } catch (error) {
    abort.abort(error);
    await Promise.allSettled(pulls);
    throw error;
  }
}

/** Bytes of all modules together, at most twice a second. */
function pullProgress({ clock, log }: BootPorts, refs: readonly ModuleRef[]) {
  const done = new Map<string, number>();
  const total = new Map<string, number>();
  let printedAt = Number.NEGATIVE_INFINITY;
  const sum = (values: Map<string, number>) => [...values.values()].reduce((a, b) => a + b, 0);
  return (ref: ModuleRef, doneBytes: number, totalBytes: number): void => {
    done.set(ref.name, doneBytes);
    total.set(ref.name, totalBytes);
    const now = clock.monotonic();
    const finished = sum(done) === sum(total);
    if (now - printedAt < PROGRESS_MS && !finished) return;
    printedAt = now;
    log.marker('pull-progress', {
      done: sum(done),
      total: sum(total),
      modules: `${total.size}/${refs.length}`,
    });
  };
}

function assertComplete({ modules, generation, node }: Desired): void {
  if (modules.some(({ kind }) => kind === 'system')) return;
  throw new BilletError(
    'MODULE_INVALID',
    `generation ${generation} of ${node} has no system module`,
    {
      hint: 'add a module of kind system with an operating system: `billet node create --module …`',
    },
  );
}

const condition = (code: string, text: string, hint: string): Condition => ({
  code,
  text: text.slice(0, 1024),
  hint: hint.slice(0, 1024),
});

const differs = (expected: Digest, actual: Digest): Condition =>
  condition(
    'SYSTEM_IMAGE_DIFFERS',
    `the system image is ${actual}; the coordinator computed ${expected}`,
    'compare the versions of agent and coordinator: the node runs what it computed itself',
  );

const offline = (ref: ModuleRef): BilletError =>
  new BilletError(
    'LINK_DOWN',
    `${ref.name} ${ref.version} is not in the store, and no coordinator`,
    {
      hint: 'bring the coordinator back: its registry has the module',
    },
  );
