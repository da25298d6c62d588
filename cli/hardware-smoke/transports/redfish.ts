// A BMC that speaks Redfish as transport: the image as virtual media, one boot from it, power. The
// console comes from elsewhere (a serial line, or what the BMC offers): it is watched beside this.

import { BilletError } from '#shared/errors.ts';
import type { CommandIo } from '../../command-io.ts';
import type { Bmc } from '../bmc.ts';
import { type ListenAddress, type MediaServer, serveMedium } from '../media-server.ts';
import { openRedfish, type Redfish } from '../redfish/client.ts';
import { findSlot, findSystem } from '../redfish/machine.ts';
import type { ComputerSystem, VirtualMedia } from '../redfish/schema.ts';
import {
  bootOnceFrom,
  clearOverride,
  ejectMedium,
  freshPower,
  insertMedium,
  type StepDeps,
} from '../redfish/steps.ts';
import { bmcDispatcher } from '../redfish/tls.ts';
import type { Attached, Medium, Probe, Transport } from './transport.ts';

export interface RedfishTarget {
  readonly bmc: Bmc;
  readonly system: string | null;
  /** Where the BMC fetches the image, or where it is served to it from. */
  readonly media: { readonly url: string } | { readonly listen: ListenAddress } | null;
  /** BootSourceOverrideTarget, the first that the system takes. */
  readonly bootTargets: readonly string[];
  readonly forceOff: boolean;
  readonly console: boolean;
}

const EFFECT_MS = 120_000;
const RELEASE_MS = 60_000;

export function redfishTransport(
  io: CommandIo,
  target: RedfishTarget,
  effectMs = EFFECT_MS,
): Transport {
  return {
    name: 'redfish',
    async probe(signal) {
      try {
        return await asked(io, target, signal);
      } catch (error) {
        if (signal.aborted || !(error instanceof BilletError)) throw error;
        const { message: why, hint, code } = error;
        return { transport: 'redfish', available: false, why, hint, code, details: {} };
      }
    },
    attach: (medium, signal) => attach(io, target, medium, effectMs, signal),
  };
}

/** Logs in, looks at everything that a run needs, and logs out. */
async function asked(io: CommandIo, target: RedfishTarget, signal: AbortSignal): Promise<Probe> {
  const session = await opened(io, target, signal);
  try {
    const { bmc } = session;
    const system = await findSystem(bmc, target.system, signal);
    const slot = needsMedium(target) ? await findSlot(bmc, system, null, signal) : null;
    const model = [system.Manufacturer, system.Model].filter((text) => text != null).join(' ');
    const details = {
      ...{ redfish: bmc.root.RedfishVersion ?? null, system: system.Id, model: model || null },
      ...{ serial: system.SerialNumber ?? null, uuid: system.UUID ?? null },
      ...{ firmware: system.BiosVersion ?? null, power: system.PowerState ?? null },
      ...{ slot: slot?.Id ?? null, console: consoleOffer(target, system) },
    };
    const lacks = lacking(target, system);
    return {
      ...{ transport: 'redfish', available: lacks === null, details },
      why: lacks?.[0] ?? `${model || 'the system'} ${system.Id}, power ${system.PowerState}`,
      hint: lacks?.[1] ?? '',
      code: lacks === null ? null : 'SMOKE_BLOCKED',
    };
  } finally {
    await session.close();
  }
}

const needsMedium = ({ bootTargets }: RedfishTarget) => bootTargets.includes('Cd');

function lacking(target: RedfishTarget, system: ComputerSystem): readonly [string, string] | null {
  if (needsMedium(target) && target.media === null)
    return [
      'the BMC has to fetch the image from somewhere',
      'name --media-url, or --media-listen with an address of this machine that the BMC reaches',
    ];
  if (target.console) return null;
  return ['no console is named beside the BMC', consoleOffer(target, system)];
}

/** How the console that the BMC offers is had (ComputerSystem.SerialConsole). */
function consoleOffer({ bmc }: RedfishTarget, { SerialConsole: offer }: ComputerSystem): string {
  const { host } = bmc;
  const piped = '| billet hardware-smoke run … --console -';
  if (offer?.SSH?.ServiceEnabled === true)
    return `ssh -p ${offer.SSH.Port ?? 22} ${bmc.user}@${host} ${piped}`;
  if (offer?.IPMI?.ServiceEnabled === true)
    return `ipmitool -I lanplus -H ${host} -U ${bmc.user} -f FILE sol activate ${piped}`;
  return 'name the serial device of the machine with --console';
}

interface Session {
  readonly bmc: Redfish;
  close(): Promise<void>;
}

async function opened(
  io: CommandIo,
  { bmc }: RedfishTarget,
  signal: AbortSignal,
): Promise<Session> {
  const { url, user, password, trust } = bmc;
  const dispatcher = bmcDispatcher(trust);
  try {
    const redfish = await openRedfish({ url, user, password, dispatcher, clock: io.clock }, signal);
    return {
      bmc: redfish,
      async close() {
        // After Ctrl-C, too: a BMC has few sessions, and keeps them for long.
        await redfish.close(AbortSignal.timeout(RELEASE_MS)).finally(() => dispatcher.destroy());
      },
    };
  } catch (error) {
    await dispatcher.destroy();
    throw error;
  }
}

async function attach(
  io: CommandIo,
  target: RedfishTarget,
  { iso }: Medium,
  effectMs: number,
  signal: AbortSignal,
): Promise<Attached> {
  const session = await opened(io, target, signal);
  const deps: StepDeps = { bmc: session.bmc, clock: io.clock, effectMs };
  const say = (line: string) => io.stderr.write(`bmc: ${line}\n`);
  let slot: VirtualMedia | null = null;
  let system: ComputerSystem | null = null;
  let server: MediaServer | null = null;

  async function boot(until: AbortSignal): Promise<void> {
    const found = await findSystem(session.bmc, target.system, until);
    if (needsMedium(target)) {
      if (target.media !== null && 'listen' in target.media && iso !== null)
        server = await serveMedium(iso, target.media.listen);
      const url =
        server?.url ?? (target.media !== null && 'url' in target.media ? target.media.url : '');
      const chosen = await findSlot(session.bmc, found, url, until);
      // From here on it is ours to take out again, even if only half of it is done.
      slot = chosen;
      await insertMedium(deps, chosen, url, until);
      say(`${url} is in ${chosen.Id}`);
    }
    system = found;
    const from = await bootOnceFrom(deps, found, target.bootTargets, until);
    say(`the next boot is from ${from}`);
    await freshPower(deps, found, target.forceOff, until);
    say('the machine is on');
  }

  /** Each on its own: what fails of one is told, and the others are done all the same. */
  async function release(): Promise<void> {
    const limit = () => AbortSignal.timeout(RELEASE_MS);
    const tell = (what: string) => (error: unknown) =>
      say(`${what} failed: ${error instanceof Error ? error.message : error}`);
    if (system !== null)
      await clearOverride(deps, system, limit()).catch(tell('the boot override'));
    if (slot !== null) await ejectMedium(deps, slot, limit()).catch(tell('ejecting'));
    await server?.[Symbol.asyncDispose]();
    await session.close().catch(tell('logging out'));
  }
  return { console: null, boot, [Symbol.asyncDispose]: release };
}
