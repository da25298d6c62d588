// Which transports a request may use, made from its flags: the one that is named, or those that fit
// what else is named. Throws ARGUMENT_INVALID; opens nothing.

import { z } from 'zod';
import { BilletError } from '#shared/errors.ts';
import type { CommandIo } from '../../command-io.ts';
import { parseArgument } from '../../remote.ts';
import { readBmc } from '../bmc.ts';
import type { Flow, FlowName } from '../flows.ts';
import { parseListen } from '../media-server.ts';
import type { SmokeOptions } from '../request.ts';
import { TRANSPORTS, type TransportName } from '../result.ts';
import { type IpmiBootDevice, ipmiTransport } from './ipmi.ts';
import { manualTransport } from './manual.ts';
import { type QemuMachine, qemuTransport } from './qemu.ts';
import { redfishTransport } from './redfish.ts';
import type { Transport } from './transport.ts';

export interface Given {
  readonly iso?: string;
  readonly coordinator?: string;
  readonly ca?: string;
}

/** `auto` never falls back from a BMC that is named to another machine. */
export async function transportsOf(
  io: CommandIo,
  options: SmokeOptions,
  flow: Flow,
  given: Given,
): Promise<readonly Transport[]> {
  const asked = parseArgument(z.enum(['auto', ...TRANSPORTS]), options.transport, '--transport');
  const names = asked === 'auto' ? automatic(options) : [asked];
  return await Promise.all(names.map((name) => transportOf(name, io, options, flow, given)));
}

function automatic({ bmc, console }: SmokeOptions): readonly TransportName[] {
  if (bmc !== undefined) return [bmc.startsWith('ipmi:') ? 'ipmi' : 'redfish'];
  return console === undefined ? ['qemu', 'manual'] : ['manual'];
}

async function transportOf(
  name: TransportName,
  io: CommandIo,
  options: SmokeOptions,
  flow: Flow,
  given: Given,
): Promise<Transport> {
  if (name === 'qemu') return qemuTransport(io.clock, machineOf(options, given), given.iso);
  if (name === 'manual')
    return manualTransport(io, {
      ...(options.console !== undefined && { console: options.console }),
      fromMedium: flow.name.startsWith('iso-'),
    });
  const forceOff = options.forceOff === true;
  const console = options.console !== undefined;
  if (name === 'ipmi') {
    const bmc = await readBmc(options, 'ipmi:');
    return ipmiTransport(io, { ...{ bmc, forceOff, console }, device: IPMI_DEVICE[flow.name] });
  }
  return redfishTransport(io, {
    ...{ forceOff, console, bmc: await readBmc(options, 'https:') },
    system: options.system ?? null,
    media: mediaOf(options, given),
    bootTargets: REDFISH_TARGETS[flow.name],
  });
}

const IPMI_DEVICE: Readonly<Record<FlowName, IpmiBootDevice>> = {
  netboot: 'pxe',
  'iso-install': 'cdrom',
  'iso-diskless': 'cdrom',
  disk: 'disk',
};
/** BootSourceOverrideTarget (DSP0268, ComputerSystem); what comes first is preferred. */
const REDFISH_TARGETS: Readonly<Record<FlowName, readonly string[]>> = {
  netboot: ['Pxe', 'UefiHttp'],
  'iso-install': ['Cd', 'Usb'],
  'iso-diskless': ['Cd', 'Usb'],
  disk: ['Hdd'],
};

function mediaOf({ mediaUrl, mediaListen }: SmokeOptions, { iso }: Given) {
  if (mediaUrl !== undefined) {
    const url = parseArgument(z.url({ protocol: /^(https?|nfs|cifs)$/ }), mediaUrl, '--media-url');
    const { username, password } = new URL(url);
    if (username === '' && password === '') return { url };
    throw new BilletError(
      'ARGUMENT_INVALID',
      'a user or password in --media-url is seen by others',
      {
        hint: 'serve the image, which is no secret, to the BMC without a login',
      },
    );
  }
  if (mediaListen === undefined) return null;
  const listen = parseListen(mediaListen);
  if (iso !== undefined) return { listen };
  throw new BilletError('ARGUMENT_INVALID', '--media-listen serves an image, and none is named', {
    hint: 'name it with --iso',
  });
}

function machineOf(options: SmokeOptions, { coordinator, ca }: Given): QemuMachine {
  const whole = (most: number, text: string | undefined, what: string) =>
    parseArgument(z.coerce.number().int().min(1).max(most), text, what);
  const serial = z.string().regex(/^[\w.-]{1,20}$/, '1 to 20 letters, digits, dots and dashes');
  return {
    memoryMib: whole(1_048_576, options.memory, '--memory'),
    cpus: whole(255, options.cpus, '--cpus'),
    diskBytes: whole(16_777_216, options.diskSize, '--disk-size') * 1024 * 1024,
    diskSerial: parseArgument(serial, options.diskSerial, '--disk-serial'),
    mac: parseArgument(z.mac(), options.mac, '--mac'),
    uuid: parseArgument(z.uuid(), options.uuid, '--uuid'),
    firmware: parseArgument(z.enum(['uefi', 'bios']), options.firmware, '--firmware'),
    accelerator: parseArgument(z.enum(['kvm', 'tcg']), options.accelerator, '--accelerator'),
    identity: { ...(coordinator && { coordinator }), ...(ca && { ca }) },
  };
}
