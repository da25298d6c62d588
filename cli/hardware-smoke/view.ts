// What a person sees of a capture: a line for each stage as it is reached, and below them, on a
// terminal, one live line for what is waited for. With --json one object a line instead.

import { stripVTControlCharacters } from 'node:util';
import type { Marker } from '#shared/markers.ts';
import type { CommandIo } from '../command-io.ts';
import { bytes, clean, jsonText, wrap } from '../output.ts';
import type { CaptureView } from './capture.ts';
import type { Failure, Result, Stage } from './result.ts';
import { type Judged, missingStages } from './verdict.ts';

const REDRAW_MS = 100;
const STAGE_COLUMNS = 18;
const SPINNER = '⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏';
const MARK: Readonly<Record<Result['outcome'], readonly [mark: string, colour: string]>> = {
  passed: ['✓', '32'],
  failed: ['✗', '31'],
  timeout: ['✗', '31'],
  blocked: ['■', '33'],
  interrupted: ['■', '33'],
};
/** Of a stage's fields, what tells a person most. */
const TELLING: Partial<Record<Marker, string>> = {
  'network-up': 'address',
  identity: 'source',
  claim: 'code',
  clock: 'to',
  enrolled: 'how',
  'store-ready': 'device',
  'pull-progress': 'total',
  pulled: 'bytes',
  composed: 'digest',
  'install-plan': 'disk',
  'install-step': 'step',
  installed: 'disk',
  'boot-slot': 'slot',
  'slot-good': 'slot',
  'slot-written': 'slot',
  'agent-start': 'version',
  attached: 'module',
  detached: 'module',
  ready: 'generation',
};

export function captureView(io: CommandIo, json: boolean): CaptureView {
  return json ? jsonView(io) : peopleView(io);
}

/** `{"event":"stage"|"failure"|"result",…}` a line. */
function jsonView(io: CommandIo): CaptureView {
  const say = (value: unknown) => io.stdout.write(`${jsonText(value)}\n`);
  const fresh = newcomers();
  return {
    show(judged) {
      const { stages, failures } = fresh(judged);
      for (const stage of stages) say({ event: 'stage', ...stage });
      for (const failure of failures) say({ event: 'failure', ...failure });
    },
    end: (result) => say({ event: 'result', ...result }),
  };
}

function peopleView(io: CommandIo): CaptureView {
  const paint = painter(io);
  const live = io.interactive;
  const line = (text: string) => io.stdout.write(`${live ? '\r\u001b[K' : ''}${text}\n`);
  const fresh = newcomers();
  let [boot, drawnAt, frame] = [0, Number.NEGATIVE_INFINITY, 0];

  const showNew = (judged: Judged) => {
    const { stages, failures } = fresh(judged);
    for (const stage of stages) {
      if (stage.boot !== boot)
        line(`\n${paint('1', `Boot ${stage.boot}: ${judged.flow.boots[stage.boot - 1]?.title}`)}`);
      boot = stage.boot;
      line(stageLine(stage, io.columns, paint));
    }
    for (const failure of failures)
      for (const text of failureLines(failure, io.columns, paint)) line(text);
  };
  return {
    show(judged, seconds, lastLine) {
      showNew(judged);
      const now = io.clock.monotonic();
      if (!live || now - drawnAt < REDRAW_MS) return;
      drawnAt = now;
      frame += 1;
      const spinner = SPINNER[frame % SPINNER.length] ?? '';
      const text = waitLine(judged, seconds, lastLine, io.columns - 4);
      io.stdout.write(`\r\u001b[K  ${paint('36', spinner)} ${text}`);
    },
    end(result) {
      if (live) io.stdout.write('\r\u001b[K');
      for (const text of resultLines(result, io.columns, paint)) line(text);
    },
  };
}

type Paint = (code: string, text: string) => string;

const painter =
  (io: CommandIo): Paint =>
  (code, text) =>
    io.colour ? `\u001b[${code}m${text}\u001b[0m` : text;

/** `  ✓ network-up         10.0.2.15/24                                  1.5 s`. */
function stageLine(stage: Stage, columns: number, paint: Paint): string {
  const right = `${stage.seconds.toFixed(1)} s`.padStart(9);
  const room = columns - 6 - STAGE_COLUMNS - right.length;
  const detail = clipped(detailOf(stage), room).padEnd(room);
  const title = clipped(stage.stage, STAGE_COLUMNS).padEnd(STAGE_COLUMNS);
  return `  ${paint('32', '✓')} ${title} ${paint('2', detail)} ${right}`;
}

function detailOf({ stage, fields }: Stage): string {
  const name = TELLING[stage as Marker];
  const value = fields[name ?? ''];
  if (name === undefined || value === undefined) return '';
  if (name === 'bytes' || name === 'total') return bytes(Number(value));
  return ['slot', 'generation'].includes(name) ? `${name} ${value}` : value;
}

function failureLines(failure: Failure, columns: number, paint: Paint): readonly string[] {
  const { stage, code, message, hint } = failure;
  const where = stage === null || code === 'RESTARTED' ? '' : `${stage}: `;
  const indented = (text: string) => wrap(clean(text), columns - 6);
  const [first = '', ...more] = indented(`${where}${message} (${code})`);
  return [
    `  ${paint('31', '✗')} ${first}`,
    ...more.map((text) => `    ${text}`),
    ...(hint === '' ? [] : indented(`hint: ${hint}`).map((text) => `    ${paint('2', text)}`)),
  ];
}

/** What is waited for, for how long, how far it is, and else the last that the console said. */
function waitLine(judged: Judged, seconds: number, lastLine: string, width: number): string {
  const next = missingStages(judged)[0]?.stage ?? 'the end';
  const last = judged.stages.at(-1);
  const since = seconds - (last?.atSeconds ?? 0);
  const head = `waiting for ${next}  ${since.toFixed(0)} s`;
  const share = progressOf(last);
  const tail = share ?? clean(stripVTControlCharacters(lastLine)).trim();
  return clipped(tail === '' ? head : `${head}  ${tail}`, width);
}

function progressOf(last: Stage | undefined): string | null {
  const { done, total, percent } = last?.fields ?? {};
  if (done !== undefined && total !== undefined)
    return `${bytes(Number(done))} of ${bytes(Number(total))}`;
  return percent === undefined ? null : `${percent} %`;
}

function resultLines(result: Result, columns: number, paint: Paint): readonly string[] {
  const [mark, colour] = MARK[result.outcome];
  const { outcome, seconds, boots, why, missing } = result;
  const head = `${paint(colour, `${mark} ${outcome}`)} after ${seconds.toFixed(1)} s, ${boots} ${boots === 1 ? 'boot' : 'boots'}, flow ${result.flow}`;
  const left = missing.map(({ stage }) => stage).join(' ');
  return [
    '',
    head,
    ...(why === null ? [] : wrap(clean(`${why.message} (${why.code})`), columns)),
    ...(why === null || why.hint === '' ? [] : wrap(clean(`hint: ${why.hint}`), columns)),
    ...(left === '' || why !== null ? [] : wrap(`still to come: ${left}`, columns)),
  ];
}

/** The stages and failures that were not there before. */
function newcomers() {
  const seen = new Set<string>();
  const once = (key: string) => !seen.has(key) && seen.add(key) !== undefined;
  return ({ stages, failures }: Judged) => ({
    stages: stages.filter((one) => once(`${one.boot} ${one.stage} ${one.atSeconds}`)),
    failures: failures.filter((_, i) => once(`failure ${i}`)),
  });
}

function clipped(text: string, width: number): string {
  const safe = clean(text);
  return safe.length <= width ? safe : `${safe.slice(0, width - 1)}…`;
}
