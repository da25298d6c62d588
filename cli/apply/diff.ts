// A unified diff of two texts, by lines. Pure: texts in, lines out.
// Source: E. Myers, "An O(ND) Difference Algorithm and Its Variations" (1986), the greedy algorithm.

export interface DiffLine {
  readonly sign: ' ' | '+' | '-' | '@';
  readonly text: string;
}

const CONTEXT = 3;

/** Changed lines with three around them; nothing for equal texts. Hunks as in diff(1) -u. */
export function unifiedDiff(before: readonly string[], after: readonly string[]): DiffLine[] {
  const script = editScript(before, after);
  const keep = new Set<number>();
  for (const [at, { sign }] of script.entries())
    if (sign !== ' ') for (let i = at - CONTEXT; i <= at + CONTEXT; i += 1) keep.add(i);
  const lines: DiffLine[] = [];
  let [old, fresh] = [1, 1];
  for (let at = 0; at < script.length; ) {
    let end = at;
    while (end < script.length && keep.has(end)) end += 1;
    const hunk = script.slice(at, end);
    const [minus, plus] = [count(hunk, '+'), count(hunk, '-')];
    if (hunk.length > 0)
      lines.push(
        { sign: '@', text: `@@ -${range(old, minus)} +${range(fresh, plus)} @@` },
        ...hunk,
      );
    old += minus;
    fresh += plus;
    at = end;
    while (at < script.length && !keep.has(at)) {
      at += 1;
      old += 1;
      fresh += 1;
    }
  }
  return lines;
}

/** Lines of a hunk that are not `sign`. */
const count = (hunk: readonly DiffLine[], sign: DiffLine['sign']) =>
  hunk.filter((line) => line.sign !== sign).length;

const range = (from: number, lines: number) => `${lines === 0 ? from - 1 : from},${lines}`;

function editScript(a: readonly string[], b: readonly string[]): DiffLine[] {
  const trace = reach(a, b);
  const script: DiffLine[] = [];
  let [x, y] = [a.length, b.length];
  for (let d = trace.length - 1; d >= 0; d -= 1) {
    const furthest = trace[d];
    const k = x - y;
    const at = (diagonal: number) => furthest?.get(diagonal) ?? -1;
    const down = k === -d || (k !== d && at(k - 1) < at(k + 1));
    const from = d === 0 ? 0 : down ? k + 1 : k - 1;
    const startX = d === 0 ? 0 : at(from);
    const startY = startX - from;
    while (x > startX && y > startY) {
      script.push({ sign: ' ', text: a[x - 1] ?? '' });
      x -= 1;
      y -= 1;
    }
    if (d === 0) break;
    if (down) script.push({ sign: '+', text: b[y - 1] ?? '' });
    else script.push({ sign: '-', text: a[x - 1] ?? '' });
    [x, y] = [startX, startY];
  }
  return script.reverse();
}

/** For each number of edits, how far each diagonal had come before it. */
function reach(a: readonly string[], b: readonly string[]): ReadonlyMap<number, number>[] {
  const furthest = new Map<number, number>([[1, 0]]);
  const trace: ReadonlyMap<number, number>[] = [];
  for (let d = 0; d <= a.length + b.length; d += 1) {
    trace.push(new Map(furthest));
    for (let k = -d; k <= d; k += 2) {
      const [left, right] = [furthest.get(k - 1) ?? -1, furthest.get(k + 1) ?? -1];
      let x = k === -d || (k !== d && left < right) ? right : left + 1;
      while (x < a.length && x - k < b.length && a[x] === b[x - k]) x += 1;
      furthest.set(k, x);
      if (x >= a.length && x - k >= b.length) return trace;
    }
  }
  return trace;
}
