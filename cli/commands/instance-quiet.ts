// `billet instance quiet`: no heartbeat is expected of an instance for a while.

import { Command } from 'commander';
import { BilletError } from '#shared/errors.ts';
import { routes } from '#shared/routes/table.ts';
import type { CommandIo } from '../command-io.ts';
import { emit } from '../output.ts';
import {
  parseArgument,
  type RemoteOptions,
  resolveInstance,
  withCoordinator,
  withExamples,
  withRemoteOptions,
} from '../remote.ts';

interface QuietOptions extends RemoteOptions {
  readonly for?: string;
  readonly end?: boolean;
  readonly reason: string;
}

const UNIT_SECONDS = { s: 1, m: 60, h: 3_600, d: 86_400 } as const;

export function instanceQuietCommand(io: CommandIo): Command {
  const quiet = new Command('quiet')
    .description(
      'Expect no heartbeat of an instance for a while, as of one that is rebooted by hand. Tasks that reboot say so themselves. Without options: until when.',
    )
    .argument('<instance>', 'instance id, or the name of its node')
    .option('--for <time>', 'for so long: 90s, 10m, 2h, 1d; at most 7d')
    .option('--end', 'expect it to be heard from now on')
    .option('--reason <text>', 'kept with it', '');
  withRemoteOptions(quiet).action((text: string, options: QuietOptions) => {
    const seconds = secondsOf(options);
    return withCoordinator(io, options, async (coordinator) => {
      const params = { id: await resolveInstance(coordinator, text) };
      const { reason } = options;
      const state =
        seconds === null
          ? await coordinator.call(routes.getQuiet, { params })
          : await coordinator.call(routes.quietInstance, { params, body: { seconds, reason } });
      emit(io, options.json === true, state, () => [
        state.until === null
          ? `${state.instance} is expected to be heard`
          : `${state.instance} may be silent until ${state.until}, by ${state.by}${state.reason === '' ? '' : `: ${state.reason}`}`,
      ]);
    });
  });
  return withExamples(
    quiet,
    'billet instance quiet web-1 --for 10m --reason "new memory"',
    'billet instance quiet web-1 --end',
  );
}

/** Null: nothing is to be changed. Throws ARGUMENT_INVALID. */
function secondsOf(options: QuietOptions): number | null {
  if (options.for !== undefined && options.end === true)
    throw new BilletError('ARGUMENT_INVALID', '--for and --end exclude each other', {
      hint: 'say one of them',
    });
  if (options.end === true) return 0;
  if (options.for === undefined) return null;
  const [, count, unit] = /^(\d{1,6})(s|m|h|d)$/.exec(options.for) ?? [];
  if (count === undefined || unit === undefined)
    throw new BilletError('ARGUMENT_INVALID', `--for ${options.for}: not a time`, {
      hint: 'a number and s, m, h or d: 10m',
    });
  const seconds = Number(count) * UNIT_SECONDS[unit as keyof typeof UNIT_SECONDS];
  return parseArgument(routes.quietInstance.body.shape.seconds, seconds, '--for, in seconds,');
}
