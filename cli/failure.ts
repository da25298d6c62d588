// How a command ends when it fails: what stands on stderr, and the exit code. Exits nothing itself.

import { CommanderError } from 'commander';
import { BilletError, type Code } from '#shared/errors.ts';
import type { CommandIo } from './command-io.ts';
import { clean, jsonText } from './output.ts';

/** Exit codes of `billet`; docs/wire.md and `billet --help` list them. */
export const EXIT = {
  done: 0,
  failed: 1,
  /** The command line cannot be understood. */
  usage: 2,
  notFound: 3,
  /** Who asks may not, or a signature, version or policy does not allow it. */
  refused: 4,
  /** Nobody answered, or not in time: the same command may work later. */
  unreachable: 5,
  /** There is nothing to do it with: no transport to a machine, no console of it. */
  blocked: 6,
  /** 128 + SIGINT. */
  interrupted: 130,
} as const;

const CODES_BY_EXIT: readonly (readonly [number, readonly Code[]])[] = [
  [EXIT.usage, ['ARGUMENT_INVALID']],
  [EXIT.notFound, ['CLAIM_UNKNOWN', 'NOT_FOUND']],
  [
    EXIT.refused,
    [
      'BMC_DENIED',
      'BMC_UNTRUSTED',
      'CA_PIN_MISMATCH',
      'CERTIFICATE_EXPIRED',
      'CERTIFICATE_INVALID',
      'CERTIFICATE_REQUIRED',
      'CERTIFICATE_REVOKED',
      'CLAIM_DENIED',
      'CSR_REFUSED',
      'FORBIDDEN',
      'REGISTRY_DENIED',
      'SIGNATURE_INVALID',
      'SIGNATURE_MISSING',
      'TOKEN_EXPIRED',
      'TOKEN_INVALID',
      'TOKEN_USED',
      'UNAUTHENTICATED',
      'VERSION_REFUSED',
    ],
  ],
  [EXIT.blocked, ['SMOKE_BLOCKED']],
  [
    EXIT.unreachable,
    ['CONTENDED', 'LINK_DOWN', 'PROVIDER_TIMEOUT', 'TIMEOUT', 'TOO_MANY_REQUESTS', 'UNAVAILABLE'],
  ],
];

const exitCodeOf = (code: Code): number =>
  CODES_BY_EXIT.find(([, codes]) => codes.includes(code))?.[0] ?? EXIT.failed;

/** Writes the failure to stderr, as JSON with `json`, and returns the exit code. */
export function reportFailure(error: unknown, io: CommandIo, json: boolean): number {
  if (error instanceof CommanderError && error.exitCode === 0) return EXIT.done;
  if (io.signal.aborted) return EXIT.interrupted;
  const failure = asBilletError(error);
  const { code, message, hint, details } = failure;
  if (json) io.stderr.write(`${jsonText({ code, message, hint, details })}\n`);
  else {
    const [red, bold, off] = io.colour ? ['\u001b[31m', '\u001b[1m', '\u001b[0m'] : ['', '', ''];
    io.stderr.write(`${red}error:${off} ${indented(message)}\n`);
    if (hint !== '') io.stderr.write(`${bold}hint:${off} ${indented(hint)}\n`);
    io.stderr.write(`code: ${code}\n`);
    if (io.env.BILLET_DEBUG === '1') io.stderr.write(`${stackOf(failure)}\n`);
  }
  return exitCodeOf(code);
}

function asBilletError(error: unknown): BilletError {
  if (error instanceof BilletError) return error;
  if (error instanceof CommanderError) return usageError(error);
  const message = error instanceof Error ? error.message : String(error);
  return new BilletError('INTERNAL', message, {
    hint: 'this is a defect of billet: run it again with BILLET_DEBUG=1 and report what it prints',
    cause: error,
  });
}

/** commander says `error: unknown option '--jsn'\n(Did you mean --json?)`, and `(outputHelp)` after the help. */
function usageError(error: CommanderError): BilletError {
  if (error.code === 'commander.help')
    return new BilletError('ARGUMENT_INVALID', 'a command is missing', {
      hint: 'take one of those above',
    });
  const [first = '', ...more] = error.message.replace(/^error: /, '').split('\n');
  const suggestion = /\((Did you mean .*\?)\)/i.exec(more.join(' '))?.[1];
  return new BilletError('ARGUMENT_INVALID', first, {
    hint: suggestion ?? 'add --help to the command to see what it takes',
  });
}

const indented = (text: string) => text.split('\n').map(clean).join('\n  ');

function stackOf(error: Error): string {
  const cause = error.cause instanceof Error ? `\ncaused by ${stackOf(error.cause)}` : '';
  return `${error.stack ?? error.message}${cause}`;
}
