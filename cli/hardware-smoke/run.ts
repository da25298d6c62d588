// One attempt at a machine: preflight, attach, watch, boot, judge, and take back whatever was done for
// it. The same files come out whichever transport it was.

import { BilletError } from '#shared/errors.ts';
import type { CommandIo } from '../command-io.ts';
import { type CaptureView, capture, notCaptured } from './capture.ts';
import type { ConsoleSource } from './chunks.ts';
import { openConsole } from './console-source.ts';
import type { Evidence } from './evidence.ts';
import { preflight, type Status } from './preflight.ts';
import type { SmokeRequest } from './request.ts';
import type { Result, TransportName } from './result.ts';
import type { Attached } from './transports/transport.ts';

interface Attempt {
  readonly request: SmokeRequest;
  readonly evidence: Evidence;
  readonly view: CaptureView;
}

/** Never throws for what the machine or its BMC does: that is the result. */
export async function runAttempt(io: CommandIo, attempt: Attempt): Promise<Result> {
  const { request, evidence, view } = attempt;
  const { flow } = request;
  let transport: TransportName = request.transports[0]?.name ?? 'manual';
  try {
    const status = await preflight(io, request, evidence);
    const chosen = request.transports.find(({ name }) => name === status.transport);
    if (chosen === undefined)
      return await notCaptured(io, { flow, transport, evidence, view }, noTransport(status), true);
    transport = chosen.name;
    await using attached = await chosen.attach({ iso: request.iso ?? null }, io.signal);
    return await capture(io, {
      ...{ flow, transport, evidence, view, patience: request.patience },
      // Open before the machine starts: nothing of it is lost.
      console: await consoleOf(io, request, attached),
      boot: (signal) => attached.boot(signal),
    });
  } catch (cause) {
    return await notCaptured(io, { flow, transport, evidence, view }, cause);
  }
}

async function consoleOf(
  { clock, stdin = process.stdin }: CommandIo,
  { console, baud }: SmokeRequest,
  attached: Attached,
): Promise<ConsoleSource> {
  if (console !== undefined)
    return await openConsole(console, { clock, stdin, baud, follow: true });
  if (attached.console !== null) return attached.console;
  throw new BilletError('SMOKE_BLOCKED', 'this transport has no console of its own', {
    hint: 'name the serial device, or the file that its console is written to, with --console',
  });
}

/** The code of the first that was asked: a BMC that lets nobody in is more than "no transport". */
function noTransport({ transports, why, hint }: Status): BilletError {
  const code = transports[0]?.code ?? 'SMOKE_BLOCKED';
  return new BilletError(code, why, { hint });
}
