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

/** The minutes of each suite, and a last line that a program can read: `N passed, N failed`. */
export function closingLines(results: readonly SuiteResult[], suiteCount: number): string {
  const total = results.reduce((sum, { ms }) => sum + ms, 0);
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
