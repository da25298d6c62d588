// The marker contract of a flow as text: what a console shows when all is well, and what it shows when
// it is not. Pure: flows, markers and codes in, lines out.

import { CODES } from '#shared/error-codes.ts';
import { MARKERS } from '#shared/markers.ts';
import { CONSOLE_CODES, CONSOLE_PATTERNS, type ConsoleCode } from './console-codes.ts';
import type { Flow } from './flows.ts';

/** One line a stage: the marker, how often, after which, and what it says. */
export function expectedMarkers(flow: Flow): string {
  const boots = flow.boots.flatMap((boot, i) => [
    '',
    `# Boot ${i + 1}: ${boot.title}; it ends with ${boot.ends}`,
    ...boot.stages.map(({ stage, after, optional, repeated }) => {
      const often = `${optional ? '0' : '1'}${repeated ? '..' : optional ? '..1' : ''}`;
      const behind = after.length === 0 ? '-' : after.join(',');
      return `BILLET_MARKER ${stage}\t${often}\t${behind}\t${MARKERS[stage]}`;
    }),
  ]);
  return [
    `# Flow ${flow.name}: ${flow.title}`,
    '# marker, how many lines of it, stages of the same boot that come before it, what it says',
    '# Tab-separated. Stages that name the same one before them come in any order.',
    ...boots,
    '',
  ].join('\n');
}

/** Codes that say something of a request to the coordinator, and never stand on a console. */
const NOT_OF_A_BOOT =
  /^(ARGUMENT|BACKUP|BMC|BODY|BULK|CLASS_FIXED|COMPACTED|DOCUMENT|DRAIN|FORBIDDEN|IN_USE|LEASE|METHOD|NETBOOT|OVER_|POOL|PROVIDER|REFERENCE|RESTORE|SMOKE|STATE_PRESENT|STORE_(LIMIT|LOCKED|NEWER)|TASK|UNAUTHENTICATED)/;

/** `BILLET_FAILURE` lines by code, then what firmware, boot loader and kernel print. */
export function failureMarkers(): string {
  const codes = Object.entries(CODES)
    .filter(([code]) => !NOT_OF_A_BOOT.test(code))
    .map(([code, { retry, meaning }]) => {
      const mends = retry ? 'tries again' : 'needs a person';
      return `BILLET_FAILURE <stage> code=${code}\t${mends}\t${meaning}`;
    });
  const lines = CONSOLE_PATTERNS.map(
    ({ code, shown }) => `${shown}\t${code}\t${CONSOLE_CODES[code].meaning}`,
  );
  const verdicts = (Object.keys(CONSOLE_CODES) as ConsoleCode[]).filter(
    (code) => !CONSOLE_PATTERNS.some((one) => one.code === code),
  );
  return [
    '# Any line that begins with BILLET_FAILURE is a failure; its hint says what to do. Tab-separated.',
    '# A stage that fails is tried again with growing pauses (BILLET_MARKER retry). What "tries again"',
    '# may mend itself; what "needs a person" fails the attempt when it stands for --grace seconds.',
    ...codes,
    '',
    '# Lines that are no markers: line, code in result.json, meaning.',
    ...lines,
    '',
    '# What the watcher itself finds: code in result.json, meaning.',
    ...verdicts.map((code) => `${code}\t${CONSOLE_CODES[code].meaning}`),
    '',
  ].join('\n');
}
