// What a person asked for, understood: flags of the command to a flow, a patience, and the transports
// that may be tried, in order. Throws ARGUMENT_INVALID; starts nothing.

import { join, resolve } from 'node:path';
import { z } from 'zod';
import { Digest } from '#shared/digest.ts';
import { NodeName } from '#shared/schema/ids.ts';
import type { CommandIo } from '../command-io.ts';
import { parseArgument } from '../remote.ts';
import { FLOW_NAMES, FLOWS, type Flow } from './flows.ts';
import { kernelParameters } from './kernel-parameters.ts';
import { transportsOf } from './transports/select.ts';
import type { Transport } from './transports/transport.ts';
import type { Patience } from './verdict.ts';

export interface SmokeOptions {
  readonly transport: string;
  readonly work: string;
  readonly flow?: string;
  readonly iso?: string;
  readonly coordinator?: string;
  readonly ca?: string;
  readonly node?: string;
  readonly parameter?: readonly string[];
  readonly console?: string;
  readonly baud: string;
  readonly follow?: boolean;
  readonly timeout?: string;
  readonly grace: string;
  readonly bmc?: string;
  readonly bmcUser?: string;
  readonly bmcPassword?: string;
  readonly bmcFingerprint?: string;
  readonly bmcCa?: string;
  readonly forceOff?: boolean;
  readonly mediaUrl?: string;
  readonly mediaListen?: string;
  readonly system?: string;
  readonly memory?: string;
  readonly cpus?: string;
  readonly diskSize?: string;
  readonly diskSerial?: string;
  readonly mac?: string;
  readonly uuid?: string;
  readonly accelerator?: string;
  readonly firmware?: string;
  readonly json?: boolean;
}

export interface SmokeRequest {
  readonly flow: Flow;
  /** Folder of the evidence folders. */
  readonly root: string;
  readonly iso?: string;
  readonly coordinator?: string;
  readonly ca?: string;
  readonly node?: string;
  /** All of the kernel command line, a word each. */
  readonly parameters: readonly string[];
  readonly console?: string;
  readonly baud: number;
  readonly patience: Patience;
  readonly follow: boolean;
  /** Those that may be used, in order. */
  readonly transports: readonly Transport[];
  readonly json: boolean;
}

export async function requestOf(io: CommandIo, options: SmokeOptions): Promise<SmokeRequest> {
  const flow = FLOWS[parseArgument(z.enum(FLOW_NAMES), options.flow ?? 'iso-install', '--flow')];
  const seconds = z.coerce
    .number()
    .positive()
    .max(7 * 86_400);
  const patience = {
    timeoutSeconds:
      options.timeout === undefined
        ? flow.timeoutSeconds
        : parseArgument(seconds, options.timeout, '--timeout'),
    graceSeconds: parseArgument(seconds, options.grace, '--grace'),
  };
  const given = {
    ...(options.iso !== undefined && { iso: resolve(options.iso) }),
    ...(options.coordinator !== undefined && {
      coordinator: parseArgument(
        z.url({ protocol: /^https$/ }),
        options.coordinator,
        '--coordinator',
      ),
    }),
    ...(options.ca !== undefined && { ca: parseArgument(Digest, options.ca, '--ca') }),
    ...(options.node !== undefined && { node: parseArgument(NodeName, options.node, '--node') }),
    ...(options.console !== undefined && { console: options.console }),
  };
  const parameters = kernelParameters({ ...given, extra: options.parameter ?? [] });
  return {
    ...{ flow, patience, parameters, ...given },
    root: join(options.work, 'hardware-smoke'),
    baud: parseArgument(z.coerce.number().int().min(300).max(4_000_000), options.baud, '--baud'),
    follow: options.follow !== false,
    transports: await transportsOf(io, options, flow, given),
    json: options.json === true,
  };
}
