// The loop of the crash tests: a life dies at each of its points, another comes, and what it leaves is
// compared with what lives that did not die leave. With a record forgotten in between, it is the
// proof that the record is needed. Asserts nothing itself.

import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { dieAt, live, type Point, snapshot, worldLog } from './agent-lives.ts';
import type { Scenario } from './agent-scenarios.ts';

/** Undoes what one record says, as if the agent that died had not written it. */
export type Forget = (dir: string) => void | Promise<void>;

export interface LoopResult {
  /** Where the agent died, in order. */
  readonly points: readonly Point[];
  /** The points after which the end was another one, and how. */
  readonly failures: readonly string[];
}

export interface LoopOptions {
  readonly scenario: Scenario;
  /** Of this loop alone. */
  readonly dir: string;
  readonly forget?: Forget;
  /** Points to die at; all of them without it. */
  readonly only?: (point: Point) => boolean;
  /** Dies in its own way; else in this process. */
  readonly die?: (dir: string, nth: number) => Promise<void>;
}

export async function crashLoop(options: LoopOptions): Promise<LoopResult> {
  const { scenario, dir, forget } = options;
  const saved = `${dir}.saved`;
  const restore = () => {
    rmSync(dir, { recursive: true, force: true });
    cpSync(saved, dir, { recursive: true });
  };
  mkdirSync(dir, { recursive: true });
  for (const situation of scenario.before) await live(dir, situation);
  cpSync(dir, saved, { recursive: true });

  const points: Point[] = [];
  await live(dir, scenario.dying, async (point) => void points.push(point));
  const started = worldLog(dir).length;
  const expected = await endOf(dir, scenario, started);
  const failures: string[] = [];
  // The last one is after its end, where nothing is left to do.
  for (let nth = 0; nth <= points.length; nth += 1) {
    const at = points[nth];
    if (at !== undefined && options.only?.(at) === false) continue;
    restore();
    if (nth === points.length) await live(dir, scenario.dying);
    else await (options.die ?? ((at, n) => dieAt(at, scenario.dying, n)))(dir, nth);
    await forget?.(dir);
    // One that did all it had to leaves nothing to do for the next.
    const done = nth === points.length && scenario.next === scenario.dying;
    const from = done ? worldLog(dir).length : undefined;
    const why = differenceOf(expected, await endOf(dir, scenario, from).catch(asEnd));
    if (why === null) continue;
    const { what, half } = at ?? { what: 'the end', half: false };
    failures.push(`${nth}: ${half ? 'in the middle of' : 'before'} ${what}: ${why}`);
    // One is enough to show that something is missing.
    if (forget !== undefined) break;
  }
  rmSync(dir, { recursive: true, force: true });
  rmSync(saved, { recursive: true, force: true });
  return { points, failures };
}

interface End {
  readonly node: Readonly<Record<string, unknown>>;
  /** What lives that had nothing to do did to services that run already: nothing. */
  readonly again: readonly string[];
  /** What all lives did. */
  readonly log: readonly string[];
}

const asEnd = (error: unknown): End => ({ node: { error: String(error) }, again: [], log: [] });

/** `from`: as long was the log when everything was done; else when the next life has ended. */
async function endOf(dir: string, { dying, next }: Scenario, from?: number): Promise<End> {
  await live(dir, next);
  const node = await snapshot(dir);
  const before = next === dying && from !== undefined ? from : worldLog(dir).length;
  await live(dir, { ...next, restarted: false });
  const log = worldLog(dir);
  const again = log.slice(before);
  // A generation that was good for a moment has raised floors: the life that died may not get there.
  return { node: next === dying ? node : withoutFloors(node), again, log };
}

function withoutFloors(node: End['node']): End['node'] {
  const text = JSON.stringify(node);
  const quiet = text
    .replaceAll(/\\"floors\\":\{[^}]*\}/g, '')
    .replaceAll(/\{\\"crc32\\":\\"[0-9a-f]{8}\\"/g, '');
  return JSON.parse(quiet) as End['node'];
}

function differenceOf(expected: End, actual: End): string | null {
  if (actual.again.length > 0) return `a further life did ${actual.again.join(', ')}`;
  const twice = startedTwice(expected.log, actual.log);
  if (twice !== null) return twice;
  for (const key of new Set([...Object.keys(expected.node), ...Object.keys(actual.node)]))
    if (!isDeepStrictEqual(actual.node[key], expected.node[key]))
      return `${key}: ${short(actual.node[key], expected.node[key])}, not ${short(expected.node[key], actual.node[key])}`;
  return null;
}

/** Whoever died was in the middle of one service: that one alone may have been started once more. */
function startedTwice(expected: readonly string[], actual: readonly string[]): string | null {
  const count = (log: readonly string[], line: string) =>
    log.filter((each) => each === line).length;
  const more = [...new Set(actual)]
    .filter((line) => /^(start|fail) /.test(line))
    .filter((line) => count(actual, line) > count(expected, line));
  const services = new Set(more.map((line) => line.split('-')[1]));
  const often = more.filter((line) => count(actual, line) > count(expected, line) + 1);
  return services.size > 1 || often.length > 0 ? `more than once: ${more.join(', ')}` : null;
}

/** What is in the one list and not in the other. */
function short(one: unknown, other: unknown): string {
  if (!Array.isArray(one) || !Array.isArray(other))
    return JSON.stringify(one ?? null).slice(0, 200);
  const only = one.filter((each) => !other.some((known) => isDeepStrictEqual(each, known)));
  return only.map((each) => JSON.stringify(each).slice(0, 300)).join(' ') || 'nothing';
}

/** The records of the journal that match are not in it. */
export const forgetLines =
  (pattern: RegExp): Forget =>
  (dir) => {
    const path = join(dir, 'run/journal');
    if (!existsSync(path)) return;
    const lines = readFileSync(path, 'utf8').split('\n');
    writeFileSync(path, lines.filter((line) => !pattern.test(line)).join('\n'));
  };
