// A BMC that speaks IPMI as transport: one boot from the medium, power, serial over LAN as the console.
// IPMI has no virtual media: the image is attached by a person, as USB stick or in the BMC's own page.

import { BilletError } from '#shared/errors.ts';
import type { CommandIo } from '../../command-io.ts';
import type { Bmc } from '../bmc.ts';
import { type Ipmitool, ipmitool, type Sol } from '../drivers/ipmitool.ts';
import type { Attached, Transport } from './transport.ts';

export type IpmiBootDevice = 'cdrom' | 'pxe' | 'disk';

export interface IpmiTarget {
  readonly bmc: Bmc;
  readonly device: IpmiBootDevice;
  readonly forceOff: boolean;
  /** The console is watched elsewhere: serial over LAN is left alone. */
  readonly console: boolean;
  /** The program; another one in tests. */
  readonly program?: string;
}

/** As `chassis bootparam get 5` shows what `chassis bootdev` has set (IPMI v2.0, table 28-14). */
const SELECTOR: Readonly<Record<IpmiBootDevice, RegExp>> = {
  cdrom: /Boot Device Selector\s*:\s*Force Boot from CD\/DVD/,
  pxe: /Boot Device Selector\s*:\s*Force PXE/,
  disk: /Boot Device Selector\s*:\s*Force Boot from default Hard-Drive/,
};
const POLL_MS = 2000;
const EFFECT_MS = 120_000;
const RELEASE_MS = 60_000;

export function ipmiTransport(
  io: CommandIo,
  target: IpmiTarget,
  { effectMs = EFFECT_MS, pollMs = POLL_MS } = {},
): Transport {
  const tool = ipmitool(target);
  return {
    name: 'ipmi',
    async probe(signal) {
      try {
        const power = await powerOf(tool, signal);
        const details = { power, host: target.bmc.host };
        const why = `the BMC at ${target.bmc.host} answers, power ${power}`;
        return { transport: 'ipmi', available: true, why, hint: '', code: null, details };
      } catch (error) {
        if (signal.aborted || !(error instanceof BilletError)) throw error;
        const { message: why, hint, code } = error;
        return { transport: 'ipmi', available: false, why, hint, code, details: {} };
      }
    },
    attach: (_medium, signal) => attach(io, tool, target, { effectMs, pollMs }, signal),
  };
}

interface Pace {
  readonly effectMs: number;
  readonly pollMs: number;
}

async function attach(
  io: CommandIo,
  tool: Ipmitool,
  target: IpmiTarget,
  pace: Pace,
  signal: AbortSignal,
): Promise<Attached> {
  const say = (line: string) => io.stderr.write(`bmc: ${line}\n`);
  const sol: Sol | null = target.console ? null : await tool.openSol(signal);
  let ordered = false;
  return {
    console: sol?.console ?? null,
    async boot(until) {
      const power = await powerOf(tool, until);
      if (power === 'on' && !target.forceOff) throw running();
      ordered = true;
      await tool.run(['chassis', 'bootdev', target.device, 'options=efiboot'], until);
      const seen = await tool.run(['chassis', 'bootparam', 'get', '5'], until);
      if (!SELECTOR[target.device].test(seen)) throw notTaken(target.device);
      say(`the next boot is from ${target.device}`);
      if (power === 'on') await switched(io, tool, 'off', pace, until);
      await switched(io, tool, 'on', pace, until);
      ordered = false;
      say('the machine is on');
    },
    async [Symbol.asyncDispose]() {
      const limit = AbortSignal.timeout(RELEASE_MS);
      const tell = (what: string) => (error: unknown) =>
        say(`${what} failed: ${error instanceof Error ? error.message : error}`);
      if (ordered)
        await tool.run(['chassis', 'bootdev', 'none'], limit).catch(tell('the boot device'));
      await sol?.close(limit).catch(tell('ending serial over LAN'));
    },
  };
}

/** `Chassis Power is on`; anything else is no answer. */
async function powerOf(tool: Ipmitool, signal: AbortSignal): Promise<'on' | 'off'> {
  const said = await tool.run(['chassis', 'power', 'status'], signal);
  const state = /Chassis Power is (on|off)/i.exec(said)?.[1]?.toLowerCase();
  if (state === 'on' || state === 'off') return state;
  throw new BilletError(
    'BMC_FAILED',
    `the BMC tells no power state: ${said.trim().slice(0, 200)}`,
    {
      hint: 'look at the machine itself; restart the BMC (not the machine)',
    },
  );
}

/** The BMC is believed when the state that it tells has changed. */
async function switched(
  { clock }: CommandIo,
  tool: Ipmitool,
  wanted: 'on' | 'off',
  { effectMs, pollMs }: Pace,
  signal: AbortSignal,
): Promise<void> {
  await tool.run(['chassis', 'power', wanted], signal);
  const limit = clock.monotonic() + effectMs;
  while ((await powerOf(tool, signal)) !== wanted) {
    if (clock.monotonic() > limit)
      throw new BilletError(
        'BMC_FAILED',
        `the power is not ${wanted}, ${effectMs / 1000} s after the BMC took it`,
        {
          hint: 'look at the machine itself: this BMC says that it did what it did not do; restart the BMC, or use --transport manual',
        },
      );
    await clock.sleep(pollMs, signal);
  }
}

const running = () =>
  new BilletError('SMOKE_BLOCKED', 'the machine is on', {
    hint: 'shut it down first, or cut it off with --force-off: what it runs ends at once',
  });

const notTaken = (device: string) =>
  new BilletError('BMC_FAILED', `the BMC took the next boot from ${device}, and does not show it`, {
    hint: 'choose in its one-time boot menu, with --transport manual',
  });
