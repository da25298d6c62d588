// Watches one console to its verdict: keeps it, judges each line as it comes, and writes result.json
// whatever happens. Starts no machine.

import { createWriteStream } from 'node:fs';
import type { Clock } from '#shared/clock.ts';
import { BilletError } from '#shared/errors.ts';
import type { ConsoleSource } from './chunks.ts';
import { type Evidence, unwritable } from './evidence.ts';
import type { Flow } from './flows.ts';
import { lineSplitter } from './lines.ts';
import { redactor } from './redact.ts';
import type { Outcome, Result, TransportName } from './result.ts';
import {
  closed,
  type Judged,
  judgeLine,
  judgeOf,
  missingStages,
  outcomeAt,
  type Patience,
} from './verdict.ts';

export interface CaptureView {
  /** After each line that changed something, and every second. */
  show(judged: Judged, seconds: number, lastLine: string): void;
  end(result: Result): void;
}

export interface CaptureRequest {
  readonly flow: Flow;
  readonly transport: TransportName;
  readonly console: ConsoleSource;
  readonly evidence: Evidence;
  readonly patience: Patience;
  readonly view: CaptureView;
  /** Boots the machine, once its console is watched. What it fails of ends the capture. */
  readonly boot?: (signal: AbortSignal) => Promise<void>;
}

const TICK_MS = 1000;
const BOOT_SEEN_MS = 10_000;

/** Ends with the verdict, at the timeout, at the end of the console, or when `signal` aborts. */
export async function capture(
  { clock, signal }: { readonly clock: Clock; readonly signal: AbortSignal },
  request: CaptureRequest,
): Promise<Result> {
  const { flow, console, evidence, patience, view } = request;
  const startedAt = new Date(clock.now()).toISOString();
  const start = clock.monotonic();
  const elapsed = () => (clock.monotonic() - start) / 1000;
  const stop = new AbortController();
  const lines = lineSplitter();
  let judged = judgeOf(flow);
  let [bytes, lastLine] = [0, ''];

  const take = (line: string) => {
    const before = judged;
    judged = judgeLine(judged, line, elapsed());
    lastLine = line;
    if (judged !== before) view.show(judged, elapsed(), lastLine);
  };
  const look = () => {
    view.show(judged, elapsed(), lastLine);
    if (outcomeAt(judged, elapsed(), patience) !== null) stop.abort();
  };
  let trouble: unknown = null;
  // Before the machine: one that nobody can keep the console of is not booted.
  const log = await openLog(evidence.path('console.log'));
  const given = new AbortController();
  const booting = request.boot?.(AbortSignal.any([signal, given.signal])).catch((error) => {
    if (given.signal.aborted || signal.aborted) return;
    trouble = error;
    stop.abort();
  });
  const ticker = setInterval(look, TICK_MS);
  try {
    for await (const chunk of console.read(AbortSignal.any([signal, stop.signal]))) {
      bytes += chunk.length;
      await log.write(chunk);
      for (const line of lines.push(chunk)) take(line);
      look();
    }
    const rest = lines.rest();
    if (rest !== null) take(rest);
  } finally {
    clearInterval(ticker);
    // A machine that is ready was booted: whoever did it may see that, too.
    const late = setTimeout(() => given.abort(), judged.done ? BOOT_SEEN_MS : 0);
    // Whatever becomes of the log, nobody works at the machine any more when this returns.
    await booting;
    clearTimeout(late);
    await log.end();
  }
  const seconds = elapsed();
  let outcome: Outcome | null = outcomeAt(judged, seconds, patience);
  if (outcome === null && signal.aborted) outcome = 'interrupted';
  if (outcome === null && trouble !== null) outcome = isBlocked(trouble) ? 'blocked' : 'failed';
  if (outcome === null) {
    judged = closed(judged, seconds);
    outcome = 'failed';
  }
  const result: Result = {
    ...{ format: 1, outcome, flow: flow.name, transport: request.transport, startedAt },
    endedAt: new Date(clock.now()).toISOString(),
    seconds: Math.round(seconds * 100) / 100,
    ...{ boots: judged.boots, bytes, stages: [...judged.stages] },
    missing: [...missingStages(judged)],
    failures: [...judged.failures],
    why: trouble === null ? null : reasonOf(trouble),
  };
  await evidence.writeJson('result.json', result);
  view.end(result);
  return result;
}

/**
 * What was not even begun, as a result: there is no way to the machine (`wayless`), or none to its
 * console.
 */
export async function notCaptured(
  { clock, signal }: { readonly clock: Clock; readonly signal: AbortSignal },
  request: Pick<CaptureRequest, 'flow' | 'transport' | 'evidence' | 'view'>,
  cause: unknown,
  wayless = false,
): Promise<Result> {
  const at = new Date(clock.now()).toISOString();
  const unlucky = wayless || isBlocked(cause) ? 'blocked' : 'failed';
  const outcome = signal.aborted ? 'interrupted' : unlucky;
  const result: Result = {
    ...{ format: 1, outcome, flow: request.flow.name, transport: request.transport },
    ...{ startedAt: at, endedAt: at, seconds: 0, boots: 0, bytes: 0, stages: [] },
    missing: [...missingStages(judgeOf(request.flow))],
    failures: [],
    why: signal.aborted ? null : reasonOf(cause),
  };
  await request.evidence.writeJson('result.json', result);
  request.view.end(result);
  return result;
}

const isBlocked = (cause: unknown) =>
  cause instanceof BilletError && ['SMOKE_BLOCKED', 'UNSUPPORTED'].includes(cause.code);

function reasonOf(cause: unknown): NonNullable<Result['why']> {
  if (cause instanceof BilletError)
    return { code: cause.code, message: cause.message, hint: cause.hint };
  const message = cause instanceof Error ? cause.message : String(cause);
  return {
    code: 'INTERNAL',
    message,
    hint: 'this is a defect of billet: report it with this folder',
  };
}

/** The console as it came, but for secrets. A disk that is full is an error, not a shorter log. */
async function openLog(path: string) {
  const file = createWriteStream(path, { mode: 0o600 });
  const failed = Promise.withResolvers<never>();
  failed.promise.catch(() => undefined);
  file.once('error', (cause) => failed.reject(unwritable(path, cause)));
  const until = (event: 'open' | 'drain' | 'close') =>
    Promise.race([new Promise((resolve) => file.once(event, resolve)), failed.promise]);
  await until('open');
  const secrets = redactor();
  const write = async (bytes: Buffer) => {
    if (bytes.length > 0 && !file.write(bytes)) await until('drain');
  };
  return {
    write: (chunk: Buffer) => write(secrets.push(chunk)),
    async end() {
      await write(secrets.end());
      file.end();
      if (!file.closed) await until('close');
      if (file.errored !== null) throw unwritable(path, file.errored);
    },
  };
}
