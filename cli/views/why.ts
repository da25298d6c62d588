// How the causes of a failure look to a person. Text only; asks nobody.

import type { Cause, Why } from '#shared/schema/why.ts';
import { ago, listing } from '../output.ts';

export function whyLines(why: Why, nowMs: number, width: number): readonly string[] {
  const { instance, node, failure, confidence, reasoning, causes, looked } = why;
  const head: (readonly [string, string])[] = [
    ['instance', node === null ? instance : `${instance} of ${node}`],
    ...(failure === null
      ? ([['failure', 'none']] as const)
      : ([
          ['failure', `${failure.kind}, ${ago(failure.at, nowMs)} ago (${failure.source})`],
          ['', failure.text],
        ] as const)),
    ['likeliest', reasoning],
    ['confidence', confidence],
    ['looked at', `${looked.events} events since ${looked.since.slice(0, 16)}`],
  ];
  if (looked.truncated) head.push(['', 'older ones were left out: there are too many']);
  return [...listing(head, width), ...causes.flatMap((cause, n) => causeLines(cause, n, width))];
}

function causeLines(cause: Cause, index: number, width: number): readonly string[] {
  const { score, what, at, reasons, evidence, hint } = cause;
  const moment = (text: string) => `${text.slice(0, 19)}Z`;
  const seen = evidence.map((one) => [one.source, `${one.text}, ${moment(one.at)}`] as const);
  return [
    '',
    ...listing([[`${index + 1}. ${score} points`, `${what} (${moment(at)})`]], width),
    ...listing(
      [
        ['  because', reasons.join('; ')],
        ...seen.map(([source, text]) => [`  ${source}`, text] as const),
        ['  next', hint],
      ],
      width,
    ),
  ];
}
