// `billet task create reboot|collect-logs|run-probe|reconcile`: one subcommand a kind, so that each has its own
// options and help.

import { Command, Option } from 'commander';
import { z } from 'zod';
import { BilletError } from '#shared/errors.ts';
import { routes } from '#shared/routes/table.ts';
import { TaskSpec } from '#shared/schema/task.ts';
import { assertSucceeded, awaitTask } from '../await-task.ts';
import type { CommandIo } from '../command-io.ts';
import { cleanLines, emit } from '../output.ts';
import {
  collect,
  parseArgument,
  type RemoteOptions,
  resolveInstance,
  withCoordinator,
  withExamples,
  withRemoteOptions,
} from '../remote.ts';
import { taskLines } from '../views/task.ts';

interface CreateOptions extends RemoteOptions {
  readonly attempts: string;
  readonly key?: string;
  readonly wait?: boolean;
  readonly timeout: string;
}

interface ProbeOptions {
  readonly url?: string;
  readonly unit?: string;
  readonly status: string;
  readonly contains?: string;
  readonly probeTimeout: string;
}

const Seconds = z.coerce.number().positive().max(86_400);

export function addTaskCreate(parent: Command, io: CommandIo): void {
  const create = parent.command('create').description('Give an instance something to do once.');
  const reboot = kind(
    'reboot',
    'Restart the machine; done when it is back with another boot id.',
  ).option('--reason <text>', 'kept with the task', '');
  wire(reboot, io, ({ reason }: { reason: string }) => ({ kind: 'reboot', reason }));
  withExamples(reboot, 'billet task create reboot web-1 --reason "new kernel" --wait');

  const logs = kind('collect-logs', 'Fetch the newest lines of the journal of this boot.')
    .option('--unit <unit>', 'of one systemd unit')
    .option('--lines <n>', 'how many, at most 2000', '200');
  wire(logs, io, ({ unit, lines }: { unit?: string; lines: string }) => ({
    kind: 'collect-logs',
    lines: Number(lines),
    ...(unit === undefined ? {} : { unit }),
  }));
  withExamples(logs, 'billet task create collect-logs web-1 --unit billet-agent.service --wait');

  const probe = kind('run-probe', 'Ask the node once whether something on it works.')
    .addOption(new Option('--url <url>', 'an HTTP page on the node, on loopback').conflicts('unit'))
    .option('--unit <unit>', 'a systemd unit that has to be active')
    .option('--status <n>', 'the HTTP status that is right', '200')
    .option('--contains <text>', 'a text that the page has to contain')
    .option('--probe-timeout <seconds>', 'how long the node waits', '10');
  wire(probe, io, (options: ProbeOptions) => ({ kind: 'run-probe', probe: probeOf(options) }));
  withExamples(probe, 'billet task create run-probe web-1 --url http://127.0.0.1/ --wait');

  const reconcile = kind(
    'reconcile',
    'Let the agent look again now at what the node should run.',
  ).option(
    '--restart <module>',
    'take this module down first, and bring it up from nothing; repeat it for more',
    collect,
  );
  wire(reconcile, io, ({ restart = [] }: { restart?: readonly string[] }) => ({
    kind: 'reconcile',
    restart,
  }));
  withExamples(reconcile, 'billet task create reconcile web-1 --restart web --wait');

  for (const command of [reboot, logs, probe, reconcile]) create.addCommand(command);
}

const kind = (name: TaskSpec['kind'], description: string) =>
  withRemoteOptions(
    new Command(name)
      .description(description)
      .argument('<instance>', 'instance id, or the name of its node')
      .option('--wait', 'wait for the end; exit code 1 if the task fails')
      .option('--timeout <seconds>', 'how long --wait waits', '600')
      .option('--attempts <n>', 'how often it is tried when a holder goes away, 1 to 10', '3')
      .option('--key <text>', 'idempotency key: the same key again gives the same task'),
  );

function wire<O>(command: Command, io: CommandIo, specOf: (options: O) => unknown): void {
  command.action((text: string, options: CreateOptions & O) => {
    const { shape } = routes.createTask.body;
    const spec = parseArgument(TaskSpec, specOf(options), 'the task');
    const attemptsMax = parseArgument(shape.attemptsMax, Number(options.attempts), '--attempts');
    const timeoutMs = parseArgument(Seconds, options.timeout, '--timeout') * 1000;
    const key = parseArgument(shape.idempotencyKey, options.key, '--key');
    return withCoordinator(io, options, async (coordinator) => {
      const instance = await resolveInstance(coordinator, text);
      const body = {
        instance,
        spec,
        attemptsMax,
        ...(key === undefined ? {} : { idempotencyKey: key }),
      };
      const made = await coordinator.call(routes.createTask, { body });
      const task = options.wait === true ? await awaitTask(io, coordinator, made, timeoutMs) : made;
      emit(io, options.json === true, task, () => [
        ...taskLines(task, io.columns),
        ...(task.result?.output ? ['', ...cleanLines(task.result.output)] : []),
      ]);
      if (options.wait === true) assertSucceeded(task);
    });
  });
}

function probeOf({ url, unit, status, contains, probeTimeout }: ProbeOptions): unknown {
  const timeoutSeconds = Number(probeTimeout);
  if (url !== undefined)
    return {
      kind: 'http',
      name: 'asked',
      url,
      status: Number(status),
      timeoutSeconds,
      ...(contains === undefined ? {} : { contains }),
    };
  if (unit !== undefined) return { kind: 'unit', name: 'asked', unit, timeoutSeconds };
  throw new BilletError('ARGUMENT_INVALID', 'a probe asks for a page or for a unit', {
    hint: 'add --url http://127.0.0.1/ or --unit nginx.service',
  });
}
