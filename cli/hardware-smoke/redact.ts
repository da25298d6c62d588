// Takes secrets out of a console before it is written: a kernel that shows its command line shows a
// bootstrap token with it. Everything else passes as it came, escape sequences included.

/** Up to the value; the value is what follows without blanks or quotes. */
const MARKS = ['billet.token=', '"token":"', '"token": "', 'authorization: bearer '] as const;
const LONGEST = Math.max(...MARKS.map((mark) => mark.length));
const VALUE_END = /[\s"']/;
const REPLACEMENT = 'REDACTED';

export interface Redactor {
  /** What of it, and of what came before, can be told by now. */
  push(chunk: Buffer): Buffer;
  /** The rest. */
  end(): Buffer;
}

/** Works across chunks: it keeps back what may be the beginning of a mark. */
export function redactor(): Redactor {
  let held = '';
  let inValue = false;

  function take(final: boolean): string {
    let out = '';
    for (;;) {
      if (inValue) {
        const end = held.search(VALUE_END);
        if (end < 0) {
          held = '';
          return out;
        }
        held = held.slice(end);
        inValue = false;
      }
      const found = nextMark(held);
      if (found === null) break;
      out += held.slice(0, found) + REPLACEMENT;
      held = held.slice(found);
      inValue = true;
    }
    const keep = final ? 0 : heldBack(held);
    out += held.slice(0, held.length - keep);
    held = held.slice(held.length - keep);
    return out;
  }

  return {
    push(chunk) {
      // latin1 maps each byte to one character, and back.
      held += chunk.toString('latin1');
      return Buffer.from(take(false), 'latin1');
    },
    end: () => Buffer.from(take(true), 'latin1'),
  };
}

/** Where the value of the first mark begins. */
function nextMark(text: string): number | null {
  const lower = text.toLowerCase();
  const found = MARKS.map((mark) => ({ at: lower.indexOf(mark), length: mark.length }))
    .filter(({ at }) => at >= 0)
    .sort((a, b) => a.at - b.at)[0];
  return found === undefined ? null : found.at + found.length;
}

/** How many characters at the end may be the beginning of a mark. */
function heldBack(text: string): number {
  const lower = text.slice(-LONGEST + 1).toLowerCase();
  for (let length = lower.length; length > 0; length -= 1)
    if (MARKS.some((mark) => mark.startsWith(lower.slice(-length)))) return length;
  return 0;
}
