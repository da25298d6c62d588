// Bytes of a console to lines of text. Pure state; a line that never ends is given up at a limit.

/** Of one line: what is longer is no marker. */
const LINE_MAX = 64 * 1024;

export interface LineSplitter {
  /** The lines that are whole by now, without their ends. */
  push(chunk: Buffer): readonly string[];
  /** What is left without a line end; null when nothing is. */
  rest(): string | null;
}

/** CR, LF or both end a line, as serial consoles send them. Escape sequences stay in the text. */
export function lineSplitter(): LineSplitter {
  const decoder = new TextDecoder();
  let held = '';
  return {
    push(chunk) {
      held += decoder.decode(chunk, { stream: true });
      const parts = held.split(/\r\n|[\r\n]/);
      held = (parts.pop() ?? '').slice(-LINE_MAX);
      return parts.filter((line) => line !== '');
    },
    rest: () => (held === '' ? null : held),
  };
}
