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

/** Suites that measure time or load, or use up what others need: nothing runs beside them. */
const ALONE: ReadonlySet<string> = new Set([
  'agent-idle',
  'bench-command',
  'reproducible',
  'store-full',
  'storm-enroll',
  'storm-slow',
]);

/**
 * What runs when: suites with peers use one processor each and go in pairs; those with machines, and
 * what measures, go alone. The order stays.
 */
export function inTurns<S extends { readonly name: string; readonly paired: boolean }>(
  suites: readonly S[],
): readonly { readonly lanes: number; readonly suites: readonly S[] }[] {
  const turns: { lanes: number; suites: S[] }[] = [];
  const pairs = suites.filter(({ name, paired }) => paired && !ALONE.has(name));
  for (const suite of suites)
    if (!pairs.includes(suite)) turns.push({ lanes: 1, suites: [suite] });
    else if (suite === pairs[0]) turns.push({ lanes: 2, suites: pairs });
  return turns;
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
