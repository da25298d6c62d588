// `billet hardware-smoke`: a machine, real or of QEMU, from power-on to ready, tried, watched and
// written down. What it does stands in cli/hardware-smoke/.

import { join } from 'node:path';
import { Command } from 'commander';
import { BilletError, type Code } from '#shared/errors.ts';
import type { CommandIo } from '../command-io.ts';
import { type CaptureView, capture, notCaptured } from '../hardware-smoke/capture.ts';
import { openConsole } from '../hardware-smoke/console-source.ts';
import { type Evidence, LATEST, openEvidence } from '../hardware-smoke/evidence.ts';
import { exampleFor, withExample } from '../hardware-smoke/example-fleet.ts';
import {
  CAPTURE_EXIT_CODES,
  withBmc,
  withConsole,
  withMachine,
  withTarget,
} from '../hardware-smoke/options.ts';
import { PREFLIGHT_FILES, preflight, type Status } from '../hardware-smoke/preflight.ts';
import { requestOf, type SmokeOptions, type SmokeRequest } from '../hardware-smoke/request.ts';
import type { Outcome, Result } from '../hardware-smoke/result.ts';
import { runAttempt } from '../hardware-smoke/run.ts';
import { captureView } from '../hardware-smoke/view.ts';
import { emit, listing } from '../output.ts';
import { withExamples } from '../remote.ts';

export function hardwareSmokeCommand(io: CommandIo): Command {
  const command = new Command('hardware-smoke').description(
    'Try a machine from power-on to ready, and keep the evidence: below work/hardware-smoke/, in a folder for each attempt.',
  );
  command.addCommand(preflightCommand(io));
  command.addCommand(runCommand(io));
  command.addCommand(captureCommand(io));
  return command;
}

function preflightCommand(io: CommandIo): Command {
  const command = new Command('preflight')
    .description(
      'Write what an attempt needs: kernel parameters, expected and failure markers, a hand-off for the operator, the environment, and whether a transport is there. Starts nothing.',
    )
    .action(async (options: SmokeOptions) => {
      const { request, evidence } = await begun(io, options);
      const status = await preflight(io, request, evidence);
      const value = { ...status, dir: evidence.dir, files: PREFLIGHT_FILES };
      emit(io, request.json, value, () => statusLines(status, evidence, io.columns));
      if (status.status === 'blocked') throw blocked(status);
    });
  withBmc(withMachine(withConsole(withTarget(command))));
  command.addHelpText('after', '\nExit code 0: a transport answers. 6: blocked, none does.');
  return withExamples(
    command,
    'billet hardware-smoke preflight --iso build/billet.iso',
    'billet hardware-smoke preflight --iso build/billet.iso \\',
    '    --bmc https://192.0.2.7 --bmc-user operator \\',
    '    --bmc-password bmc.secret --bmc-fingerprint sha256:…',
  );
}

function runCommand(io: CommandIo): Command {
  const command = new Command('run')
    .description(
      'Boot a machine from the ISO by a transport, and watch it until it is ready. On QEMU, without an ISO, a clone of Billet makes one, with a coordinator for it.',
    )
    .action(async (options: SmokeOptions) => {
      await using fleet = await exampleFor(io, options);
      const { request, evidence } = await begun(io, withExample(options, fleet));
      const view = captureView(io, request.json);
      finish(io, request, evidence, await runAttempt(io, { request, evidence, view }));
    });
  withBmc(withMachine(withConsole(withTarget(command))));
  command.addHelpText('after', CAPTURE_EXIT_CODES);
  return withExamples(
    command,
    'billet hardware-smoke run --transport qemu',
    'billet hardware-smoke run --transport qemu --iso build/billet.iso',
    'billet hardware-smoke run --bmc ipmi://192.0.2.7 --bmc-user operator \\',
    '    --bmc-password bmc.secret --iso build/billet.iso',
    'billet hardware-smoke run --transport manual --console /dev/ttyUSB0',
  );
}

function captureCommand(io: CommandIo): Command {
  const command = new Command('capture')
    .description('Watch the console of a machine that somebody else starts, and judge it.')
    .option('--no-follow', 'a file is whole: end at its end')
    .action(async (options: SmokeOptions) => {
      const { request, evidence } = await begun(io, { ...options, transport: 'manual' });
      const view = captureView(io, request.json);
      finish(io, request, evidence, await captureOnly(io, request, evidence, view));
    });
  withConsole(command);
  command.addHelpText('after', CAPTURE_EXIT_CODES);
  return withExamples(
    command,
    'billet hardware-smoke capture --console /dev/ttyUSB0',
    'billet hardware-smoke capture --console console.log --no-follow --flow netboot',
    'virsh console web-1 | billet hardware-smoke capture --console - --flow disk',
  );
}

async function begun(io: CommandIo, options: SmokeOptions) {
  const request = await requestOf(io, options);
  const evidence = await openEvidence(request.root, io.clock);
  return { request, evidence };
}

async function captureOnly(
  io: CommandIo,
  request: SmokeRequest,
  evidence: Evidence,
  view: CaptureView,
): Promise<Result> {
  const { flow, patience, baud, follow } = request;
  const common = { flow, patience, evidence, view, transport: 'manual' } as const;
  const { clock, stdin = process.stdin } = io;
  try {
    if (request.console === undefined)
      throw new BilletError('SMOKE_BLOCKED', 'no console is named', {
        hint: 'name a serial device, a file, or - for standard input with --console',
      });
    const console = await openConsole(request.console, { clock, stdin, baud, follow });
    return await capture(io, { ...common, console });
  } catch (cause) {
    return await notCaptured(io, common, cause);
  }
}

const CODE_OF: Readonly<Record<Exclude<Outcome, 'passed'>, Code>> = {
  failed: 'SMOKE_FAILED',
  timeout: 'TIMEOUT',
  blocked: 'SMOKE_BLOCKED',
  interrupted: 'SMOKE_FAILED',
};

/** A result that is no pass is an error of the command, with an exit code of its own. */
function finish(io: CommandIo, { json }: SmokeRequest, evidence: Evidence, result: Result): void {
  if (!json) io.stderr.write(`evidence: ${evidence.dir}\n`);
  if (result.outcome === 'passed') return;
  const wrong = result.failures.find(({ mended }) => !mended) ?? result.why;
  // Nothing was tried: `blocked`, and what the command line says wrong, have their own exit codes.
  const usage = result.outcome === 'failed' && result.why?.code === 'ARGUMENT_INVALID';
  const what =
    wrong === null ? `${result.outcome} before ${result.missing[0]?.stage}` : wrong.message;
  throw new BilletError(usage ? 'ARGUMENT_INVALID' : CODE_OF[result.outcome], what, {
    hint: wrong?.hint || `read ${join(evidence.dir, 'console.log')}`,
    details: { dir: evidence.dir, outcome: result.outcome, ...(wrong && { code: wrong.code }) },
  });
}

const blocked = ({ why, hint }: Status) => new BilletError('SMOKE_BLOCKED', why, { hint });

const statusLines = (status: Status, evidence: Evidence, width: number): readonly string[] => [
  ...listing(
    [
      ['status', status.status],
      ['transport', status.transport ?? 'none'],
      ['', status.why],
      ['flow', status.flow],
      ['evidence', `${evidence.dir} (and ${LATEST})`],
      ['files', PREFLIGHT_FILES.join(' ')],
    ],
    width,
  ),
  '',
  `Next: hand over ${join(evidence.dir, 'handoff.md')}`,
];
