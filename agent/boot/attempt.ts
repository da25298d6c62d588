// One attempt to turn desired state into a root: choose the generation, mount its system, make it a
// root. Records what can never work, so that the next attempt takes another way.

import { BilletError } from '#shared/errors.ts';
import type { Desired, Envelope } from '#shared/schema/desired.ts';
import type { Facts } from '#shared/schema/facts.ts';
import type { InstanceId } from '#shared/schema/ids.ts';
import type { TrustPolicy } from '#shared/schema/trust-policy.ts';
import type { NetworkUp } from '../drivers/network.ts';
import { type DesiredDocument, readEnvelope } from '../link/desired.ts';
import { rankFallbacks } from '../reconcile/verdict.ts';
import type { SlotsAtBoot } from '../slots/at-boot.ts';
import type { Store } from '../store/store.ts';
import { loadBootRecord, saveBootRecord } from './boot-record.ts';
import {
  type Choice,
  chooseGeneration,
  inHistory,
  type RunningSlot,
  rejectsAtOnce,
  withRejected,
  withTrial,
} from './policy.ts';
import type { BootPorts, Uplink } from './ports.ts';
import { moduleSettings, renderRoot } from './render.ts';
import { assertRoot, prepareRoot } from './root.ts';
import { mountSystem, type System } from './system.ts';

export interface AttemptRequest {
  readonly document: DesiredDocument;
  readonly instance: InstanceId;
  readonly policy: TrustPolicy;
  readonly store: Store;
  /** Null when the coordinator is away: only what is in the store will do. */
  readonly uplink: Uplink | null;
  readonly network: NetworkUp;
  readonly facts: Facts;
  /** Null: this boot was not started from a slot. */
  readonly slots: Pick<SlotsAtBoot, 'manifest' | 'failed'> | null;
  /** The last good generation is tried, if there is one: the wanted one failed often enough. */
  readonly yields: boolean;
  /** Told which generation this attempt is, before anything of it is mounted. */
  readonly onChoice?: (chosen: Desired) => void;
}

export interface Booted {
  readonly desired: Desired;
  readonly system: System;
}

/** Throws what stands in the way; nothing is mounted at `sysroot` then. */
export async function attemptBoot(
  ports: BootPorts,
  request: AttemptRequest,
  signal: AbortSignal,
): Promise<Booted> {
  const { document, instance, yields } = request;
  const { state } = ports.paths;
  const desired = readEnvelope(document.reply.envelope, instance);
  const loaded = await loadBootRecord(state);
  for (const each of loaded.damage) ports.log.failure('desired', each);
  let record = inHistory(loaded.record, desired.history);
  const known = (envelope: Envelope | null | undefined) => {
    const each = envelope ? readEnvelope(envelope, instance) : null;
    return each?.history === desired.history ? each : null;
  };
  const own = known(record.good?.envelope);
  const coordinator = known(document.reply.good);
  const good = rankFallbacks({ here: own, coordinator, passed: null })[0] ?? null;
  const { rejected } = document.reply;
  const slot = runningSlot(request.slots, desired);
  const choice = chooseGeneration({ desired, rejected, good, record, yields, slot });
  request.onChoice?.(choice.desired);
  if (choice.rejects !== null) {
    record = withRejected(record, choice.rejects);
    if (slot?.failed) ports.log.failure('boot-slot', slotFailed(choice.rejects));
  }
  try {
    const chosen = choice.desired;
    const kernelRelease = request.facts.kernelRelease;
    const system = await mountSystem(
      ports,
      // Only what was good here is exempt from the floors: a coordinator may not name exceptions.
      { ...request, desired: chosen, good: own, record, kernelRelease },
      signal,
    );
    await makeRoot(ports, request, chosen, system, signal);
    // Durable before the boot counts: one that never comes up has to be seen by the next.
    const counted = withTrial(record, chosen.generation);
    if (JSON.stringify(counted) !== JSON.stringify(loaded.record))
      await saveBootRecord(state, counted);
    return { desired: chosen, system };
  } catch (error) {
    await unmountBelow(ports);
    if (isOfGeneration(error) && good !== null && choice.why === 'desired') {
      const reason = `${error.code}: ${error.message}`.slice(0, 1024);
      await saveBootRecord(state, withRejected(record, { generation: desired.generation, reason }));
    }
    throw error;
  }
}

function runningSlot(slots: AttemptRequest['slots'], desired: Desired): RunningSlot | null {
  if (slots === null) return null;
  const image = desired.bootImage?.manifest;
  const failed = image !== undefined && slots.failed(desired.generation, image);
  return { manifest: slots.manifest, failed };
}

const slotFailed = ({ generation, reason }: NonNullable<Choice['rejects']>): BilletError =>
  new BilletError('BOOT_SLOT_FAILED', `generation ${generation} is rejected: ${reason}`, {
    hint: 'look at the console of those boots; publish a boot image that comes up, and order it anew',
  });

async function makeRoot(
  ports: BootPorts,
  { network }: AttemptRequest,
  desired: Desired,
  { modules, tree }: System,
  signal: AbortSignal,
): Promise<void> {
  assertRoot(tree);
  const labels = modules.map(({ label }) => label);
  const networkFiles = await ports.networkFiles(network.addresses);
  await prepareRoot(
    ports,
    {
      files: renderRoot({ desired, networkFiles, dns: network.dns }),
      settings: moduleSettings(desired, labels),
      persistent: [...new Set(labels.flatMap(({ persistent }) => persistent))].sort(),
    },
    signal,
  );
}

const isOfGeneration = (error: unknown): error is BilletError =>
  error instanceof BilletError && rejectsAtOnce(error.code);

/** What an attempt mounted, innermost first. */
async function unmountBelow({ mounts, sysroot }: BootPorts): Promise<void> {
  const below = (await mounts.table()).filter(
    ({ target }) => target === sysroot || target.startsWith(`${sysroot}/`),
  );
  for (const { target } of below.reverse()) mounts.unmount(target, { detach: true });
}
