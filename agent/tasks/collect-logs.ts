// Collects the newest lines of the journal of this boot, bounded by count and bytes.

import { type Exec, execOrThrow } from '../drivers/exec.ts';
import type { TaskKind } from './kind.ts';
import { specOf } from './spec.ts';

/** A little under what a report may carry. */
const OUTPUT_MAX_BYTES = 250 * 1024;

export function collectLogsTask({ exec }: { readonly exec: Exec }): TaskKind {
  return {
    kind: 'collect-logs',
    async run(task, signal) {
      const { unit, lines } = specOf(task, 'collect-logs');
      const text = await execOrThrow(
        exec,
        [
          'journalctl',
          '--boot',
          '--no-pager',
          '--quiet',
          '--output=short-iso-precise',
          `--lines=${lines}`,
          ...(unit === undefined ? [] : [`--unit=${unit}`]),
        ],
        signal,
        'on the node: journalctl --verify',
      );
      const output = newest(text, OUTPUT_MAX_BYTES);
      const message = output.length < text.length ? 'older lines were left out' : undefined;
      return { outcome: 'succeeded', output, ...(message === undefined ? {} : { message }) };
    },
  };
}

/** Whole lines from the end, at most `maxBytes` of UTF-8. */
export function newest(text: string, maxBytes: number): string {
  const bytes = Buffer.from(text);
  if (bytes.length <= maxBytes) return text;
  const tail = bytes.subarray(bytes.length - maxBytes);
  const start = tail.indexOf(0x0a) + 1;
  return tail.subarray(start).toString('utf8');
}
