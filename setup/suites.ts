// Which suites run, and the table at the end. Text in, text out; starts nothing.

export interface SuiteResult {
  readonly name: string;
  /** Exit code; 0 is passed. */
  readonly code: number;
  readonly ms: number;
}

/** All of them without words; else those with one of the words in their name. */
export const selectSuites = <S extends { readonly name: string }>(
  suites: readonly S[],
  words: readonly string[],
): readonly S[] =>
  words.length === 0
    ? suites
    : suites.filter(({ name }) => words.some((word) => name.includes(word)));

/** Suites that measure time or load, use two machines at once, or use up what others need. */
const ALONE: ReadonlySet<string> = new Set([
  'agent-idle',
  'bench-command',
  'check',
  // The first with machines: it fills the cache that the others build from.
  'initramfs',
  'runbook',
  'store-full',
  'storm-enroll',
  'storm-slow',
  'walk',
]);

/** They begin before the others, in this order, so that at the end no processor waits for them. */
const LONGEST: readonly string[] = ['slots', 'persist', 'boot', 'reproducible'];

/** The others keep their order. */
function beginsAt({ name }: { readonly name: string }): number {
  const place = LONGEST.indexOf(name);
  return place < 0 ? LONGEST.length : place;
}

export interface Turn<S> {
  /** How many of them run at once. */
  readonly lanes: number;
  readonly suites: readonly S[];
}

/** Machines keep one processor each busy; of two peers, each waits for four tenths of its time. */
const LANES: Readonly<Record<string, number>> = { peer: 3, vm: 2 };

/**
 * What runs when: several of a kind at once (two suites with machines took 173 s so, and 234 s one after the
 * other). Nothing runs beside those of ALONE. A kind begins with what goes alone.
 */
export function inTurns<S extends { readonly name: string; readonly kind: string }>(
  suites: readonly S[],
): readonly Turn<S>[] {
  const kinds = Map.groupBy(suites, ({ kind }) => kind).entries();
  return kinds.toArray().flatMap(([kind, ofKind]) => {
    const alone = ofKind.filter(({ name }) => ALONE.has(name));
    const others = ofKind
      .filter(({ name }) => !ALONE.has(name))
      .sort((a, b) => beginsAt(a) - beginsAt(b));
    const turns: Turn<S>[] = alone.map((suite) => ({ lanes: 1, suites: [suite] }));
    return others.length === 0 ? turns : [...turns, { lanes: LANES[kind] ?? 1, suites: others }];
  });
}

/** The minutes of each suite, and a last line that a program can read: `N passed, N failed`. */
export function closingLines(
  results: readonly SuiteResult[],
  suiteCount: number,
  total: number,
): string {
  const failed = results.filter(({ code }) => code !== 0).length;
  const skipped = suiteCount - results.length;
  const width = Math.max('in all'.length, ...results.map(({ name }) => name.length));
  const row = (name: string, ms: number, verdict: string) =>
    `${name.padEnd(width)}  ${minutes(ms).padStart(7)} min  ${verdict}`.trimEnd();
  return [
    '',
    ...results.map(({ name, ms, code }) =>
      row(name, ms, code === 0 ? 'passed' : `failed (${code})`),
    ),
    row('in all', total, ''),
    '',
    `suites: ${results.length - failed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`,
    '',
  ].join('\n');
}

const minutes = (ms: number) => (ms / 60_000).toFixed(1);
