// `billet task create|list|show|cancel`.

import { Command } from 'commander';
import { routes } from '#shared/routes/table.ts';
import { TaskId } from '#shared/schema/ids.ts';
import { type Task, TaskState } from '#shared/schema/task.ts';
import { listAll } from '../client.ts';
import type { CommandIo } from '../command-io.ts';
import { cleanLines, emit, table } from '../output.ts';
import {
  parseArgument,
  type RemoteOptions,
  resolveInstance,
  withCoordinator,
  withExamples,
  withRemoteOptions,
} from '../remote.ts';
import { taskColumns, taskLines } from '../views/task.ts';
import { addTaskCreate } from './task-create.ts';

export function taskCommand(io: CommandIo): Command {
  const command = new Command('task').description(
    'Tasks: something for an instance to do once. A task is done when it was seen to be done.',
  );
  addTaskCreate(command, io);
  addList(command, io);
  addShow(command, io);
  addCancel(command, io);
  return command;
}

function addList(parent: Command, io: CommandIo): void {
  const list = parent
    .command('list')
    .description('List tasks.')
    .option('--instance <id>', 'only those of this instance or node')
    .option('--state <state>', `only those in this state: ${TaskState.options.join(', ')}`);
  withRemoteOptions(list).action((options: RemoteOptions & { instance?: string; state?: string }) =>
    withCoordinator(io, options, async (coordinator) => {
      const { instance, state } = options;
      const query = {
        ...(instance && { instance: await resolveInstance(coordinator, instance) }),
        ...(state && { state: parseArgument(TaskState, state, '--state') }),
      };
      const tasks = await listAll<Task>((page) =>
        coordinator.call(routes.listTasks, { query: { ...query, ...page } }),
      );
      emit(io, options.json === true, tasks, () =>
        table(tasks, taskColumns(io.clock.now()), io.columns, 'no tasks'),
      );
    }),
  );
  withExamples(list, 'billet task list', 'billet task list --instance web-1 --state failed');
}

function addShow(parent: Command, io: CommandIo): void {
  const show = parent
    .command('show')
    .description('Show one task, and what it found.')
    .argument('<task>', 'task id')
    .option('--output', 'print only its output; control characters become ?');
  withRemoteOptions(show).action((id: string, options: RemoteOptions & { output?: boolean }) =>
    withCoordinator(io, options, async (coordinator) => {
      const params = { id: parseArgument(TaskId, id, 'task') };
      const task = await coordinator.call(routes.getTask, { params });
      const output = task.result?.output ?? '';
      if (options.output === true) io.stdout.write(`${cleanLines(output).join('\n')}\n`);
      else
        emit(io, options.json === true, task, () => [
          ...taskLines(task, io.columns),
          ...(output === '' ? [] : ['', `Its output: billet task show ${task.id} --output`]),
        ]);
    }),
  );
  withExamples(
    show,
    'billet task show t-0123456789abcdef',
    'billet task show t-0123456789abcdef --output | less',
  );
}

function addCancel(parent: Command, io: CommandIo): void {
  const cancel = parent
    .command('cancel')
    .description('Take a task back. A node that holds it is told; what it did is not undone.')
    .argument('<task>', 'task id');
  withRemoteOptions(cancel).action((id: string, options: RemoteOptions) =>
    withCoordinator(io, options, async (coordinator) => {
      const params = { id: parseArgument(TaskId, id, 'task') };
      const task = await coordinator.call(routes.cancelTask, { params });
      emit(io, options.json === true, task, () => [`task ${task.id} is ${task.state}`]);
    }),
  );
  withExamples(cancel, 'billet task cancel t-0123456789abcdef');
}
