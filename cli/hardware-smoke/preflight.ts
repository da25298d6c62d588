// The preflight: everything that an attempt at a machine needs to know, written down before anybody
// touches it, and whether there is a way to the machine at all. Starts nothing.

import type { Clock } from '#shared/clock.ts';
import { observeEnvironment } from './environment.ts';
import type { Evidence } from './evidence.ts';
import { expectedMarkers, failureMarkers } from './expected.ts';
import { handoffText } from './handoff.ts';
import type { SmokeRequest } from './request.ts';
import type { Probe } from './transports/transport.ts';

/** status.json */
export interface Status {
  readonly format: 1;
  readonly status: 'ready' | 'blocked';
  readonly at: string;
  readonly flow: string;
  /** Of every transport that was asked, in order; the first that is available counts. */
  readonly transports: readonly Probe[];
  readonly transport: string | null;
  readonly why: string;
  readonly hint: string;
}

export const PREFLIGHT_FILES = [
  'kernel-parameters',
  'expected-markers',
  'failure-markers',
  'handoff.md',
  'environment.json',
  'status.json',
] as const;

export async function preflight(
  { clock, signal }: { readonly clock: Clock; readonly signal: AbortSignal },
  request: SmokeRequest,
  evidence: Evidence,
): Promise<Status> {
  const { flow, iso, parameters, coordinator, ca, node } = request;
  const environment = await observeEnvironment(iso, signal);
  const probes: Probe[] = [];
  for (const transport of request.transports) {
    probes.push(await transport.probe(signal));
    if (probes.at(-1)?.available) break;
  }
  const status = statusOf(request, probes, new Date(clock.now()).toISOString());
  const probe = probes.find(({ available }) => available) ?? probes[0] ?? NONE;
  await evidence.write('kernel-parameters', `${parameters.join(' ')}\n`);
  await evidence.write('expected-markers', expectedMarkers(flow));
  await evidence.write('failure-markers', failureMarkers());
  await evidence.writeJson('environment.json', { format: 1, ...environment, transports: probes });
  await evidence.write(
    'handoff.md',
    handoffText({
      ...{ flow, parameters, probe, image: environment.image, baud: request.baud },
      ...{ coordinator: coordinator ?? null, ca: ca ?? null, node: node ?? null },
      console: request.console ?? null,
      timeoutSeconds: request.patience.timeoutSeconds,
    }),
  );
  await evidence.writeJson('status.json', status);
  return status;
}

const NONE: Probe = {
  ...{ transport: 'manual', available: false, code: 'SMOKE_BLOCKED', details: {} },
  why: 'no transport was asked',
  hint: 'name one with --transport',
};

/** Where none answers, all of them say why. */
function statusOf({ flow }: SmokeRequest, transports: readonly Probe[], at: string): Status {
  const chosen = transports.find(({ available }) => available) ?? null;
  const told = chosen === null ? transports : [chosen];
  const all = (texts: readonly string[]) => texts.filter((text) => text !== '').join('; or ');
  return {
    ...{ format: 1, status: chosen === null ? 'blocked' : 'ready', at, flow: flow.name },
    ...{ transports, transport: chosen?.transport ?? null },
    why: told.map(({ why }) => why).join('; '),
    hint: all(told.map(({ hint }) => hint)),
  };
}
