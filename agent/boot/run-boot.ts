// The boot in the initramfs, from nothing to a root that is ready for switch_root. The order of the
// stages stands here; what each does stands beside this file.

import type { Facts } from '#shared/schema/facts.ts';
import type { Condition, ModuleState } from '#shared/schema/heartbeat.ts';
import type { Identity, SourceIdentity } from '#shared/schema/identity.ts';
import type { TrustPolicy } from '#shared/schema/trust-policy.ts';
import { HANDOVER_FORMAT, type Handover, writeHandover } from '../handover.ts';
import type { Discovered } from '../identity/discover.ts';
import type { Enrolled } from '../identity/ensure-enrolled.ts';
import type { PlannedNetwork } from './boot-network.ts';
import { hasKeptDesired, isAway } from './desired-document.ts';
import type { BootPorts } from './ports.ts';
import { untilDone } from './stage.ts';
import { type BootStorage, stageStorage } from './storage.ts';
import { type Reached, untilBooted } from './until-booted.ts';

const DEADLINE_MS = {
  network: 45_000,
  identity: 60_000,
  enrolled: 60_000,
  /** Of a claim: a person has to come. A day later the same claim goes on. */
  claim: 24 * 3_600_000,
} as const;
/** How long a machine that could boot by itself waits for a network: what runs then goes on looking for one. */
const ALONE_AFTER_MS = 25_000;
const WITHOUT_NETWORK: PlannedNetwork = { addresses: [], dns: [], ntp: [], plan: 'default' };

/** Resolves when everything is handed over. Rejects only when `signal` aborts. */
export async function runBoot(ports: BootPorts, signal: AbortSignal): Promise<Handover> {
  const { log } = ports;
  const atStart = await ports.facts();
  log.marker('boot-start', { firmware: atStart.firmware, 'secure-boot': atStart.secureBoot });
  const storing = stageStorage(ports, signal);
  const networking = stageNetwork(ports, storing, signal);
  const [network, storage, { identity: source, cloud }, hostFacts, policy] = await Promise.all([
    networking,
    storing,
    stageIdentity(ports, networking, storing, signal),
    // Once more: disks and network cards may have been found since.
    ports.facts(),
    untilDone(ports, 'boot-start', DEADLINE_MS.identity, ports.trustPolicy, signal),
  ]);
  const facts: Facts = cloud === undefined ? hostFacts : { ...hostFacts, cloud };
  const { enrolled, identity } = await stageEnrolled(ports, source, facts, signal);
  const uplink = enrolled === null ? null : ports.openUplink(enrolled);
  try {
    const shared = { instance: identity.instance, policy, storage, network, facts };
    const reached = await untilBooted(ports, uplink, shared, signal);
    const handover = await handOver(ports, { storage, facts, policy, identity, reached });
    log.marker('switch-root', { generation: reached.booted.desired.generation });
    return handover;
  } finally {
    await uplink?.close();
    await storage.close();
  }
}

/** Goes on without a network where an earlier boot has left something to boot from. */
async function stageNetwork(
  ports: BootPorts,
  storing: Promise<unknown>,
  signal: AbortSignal,
): Promise<PlannedNetwork> {
  const settled = new AbortController();
  const either = AbortSignal.any([signal, settled.signal]);
  const connected = untilDone(ports, 'network-up', DEADLINE_MS.network, ports.networkUp, either);
  const alone = storing.then(async () => {
    if (await hasKeptDesired(ports)) await ports.clock.sleep(ALONE_AFTER_MS, either);
    else await connected;
    return WITHOUT_NETWORK;
  });
  try {
    const network = await Promise.race([connected, alone]);
    for (const { interface: name, cidr, mac } of network.addresses)
      ports.log.marker('network-up', { interface: name, address: cidr, mac, plan: network.plan });
    return network;
  } finally {
    settled.abort();
    await Promise.allSettled([connected, alone]);
  }
}

interface EnrolledStage {
  /** Null: the coordinator is away, the certificate has run out, and there is something to boot from. */
  readonly enrolled: Enrolled | null;
  readonly identity: Identity;
}

/** Without a token a person may have to approve the machine first: that has no deadline of its own. */
async function stageEnrolled(
  ports: BootPorts,
  source: SourceIdentity,
  facts: Facts,
  signal: AbortSignal,
): Promise<EnrolledStage> {
  const enroll = async (deadline: AbortSignal): Promise<EnrolledStage> => {
    try {
      const enrolled = await ports.ensureEnrolled(source, facts, deadline);
      return { enrolled, identity: enrolled.credentials.identity };
    } catch (error) {
      const { instance } = source;
      if (instance === undefined || !isAway(error) || !(await hasKeptDesired(ports))) throw error;
      ports.log.failure('enrolled', error);
      return { enrolled: null, identity: { ...source, instance } };
    }
  };
  const deadlineMs = source.token === undefined ? DEADLINE_MS.claim : DEADLINE_MS.enrolled;
  const stage = await untilDone(ports, 'enrolled', deadlineMs, enroll, signal);
  const how = stage.enrolled?.how ?? 'offline';
  ports.log.marker('enrolled', { instance: stage.identity.instance, how });
  return stage;
}

/** A source that is silent does not stop a machine that knows from an earlier boot who it is. */
async function stageIdentity(
  ports: BootPorts,
  networking: Promise<unknown>,
  storing: Promise<unknown>,
  signal: AbortSignal,
): Promise<Discovered> {
  const discover = async (deadline: AbortSignal): Promise<Discovered> => {
    try {
      const found = await ports.discoverIdentity(deadline, () => settled(networking));
      await storing;
      return { ...found, identity: await ports.recallInstance(found.identity) };
    } catch (error) {
      if (!isAway(error)) throw error;
      await storing;
      const kept = await ports.keptIdentity();
      if (kept === null) throw error;
      return { identity: kept, source: 'kept' };
    }
  };
  const found = await untilDone(ports, 'identity', DEADLINE_MS.identity, discover, signal);
  const { identity, source } = found;
  ports.log.marker('identity', { instance: identity.instance ?? 'none', source });
  return found;
}

const settled = (work: Promise<unknown>): Promise<void> => work.then(() => undefined);

interface HandoverParts {
  readonly storage: BootStorage;
  readonly facts: Facts;
  readonly policy: TrustPolicy;
  readonly identity: Identity;
  readonly reached: Reached;
}

async function handOver(ports: BootPorts, parts: HandoverParts): Promise<Handover> {
  const { facts, policy } = parts;
  const { booted, offline, passedOver } = parts.reached;
  const { token: _, ...identity } = parts.identity;
  const { system, desired } = booted;
  const handover: Handover = {
    format: HANDOVER_FORMAT,
    bootId: await ports.bootId(),
    identity,
    ...(facts.cloud === undefined ? {} : { cloud: facts.cloud }),
    generation: desired.generation,
    systemImage: system.digest,
    modules: system.modules.map(
      ({ ref: { name, version, manifest, image } }): ModuleState => ({
        name,
        version,
        manifest,
        image,
        state: 'merged',
      }),
    ),
    verity: system.mounted.verity,
    data: parts.storage.data.kind,
    ...slotOf(parts.storage),
    offline,
    conditions: [
      ...system.conditions,
      ...(passedOver === null ? [] : [passedOver]),
      ...(facts.secureBoot ? [] : [BOOT_UNVERIFIED]),
    ],
  };
  await writeHandover(ports.paths, handover, policy);
  return handover;
}

function slotOf({ boot, slots }: BootStorage): Pick<Handover, 'slot'> {
  if (boot === null || slots === null) return {};
  const { slot, entry, triesLeft, manifest } = slots;
  return { slot: { slot, entry, triesLeft, manifest, devices: boot.devices } };
}

const BOOT_UNVERIFIED: Condition = {
  code: 'BOOT_UNVERIFIED',
  text: 'no firmware verified the boot image, and with it the trust policy that is in it',
  hint: 'boot a signed image with Secure Boot; docs/security.md says what holds without it',
};
