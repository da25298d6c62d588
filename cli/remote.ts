// What every command that speaks to a coordinator has in common: options, connection, arguments.

import type { Command } from 'commander';
import type { z } from 'zod';
import { BilletError } from '#shared/errors.ts';
import type { Params } from '#shared/routes/route.ts';
import { routes } from '#shared/routes/table.ts';
import { describeFaults } from '#shared/schema/faults.ts';
import { InstanceId, NodeName } from '#shared/schema/ids.ts';
import { type Coordinator, connect } from './client.ts';
import type { CommandIo } from './command-io.ts';
import { loadContext } from './context.ts';
import { followCa } from './context-trust.ts';

export interface RemoteOptions {
  readonly context?: string;
  readonly json?: boolean;
}

export const withRemoteOptions = (command: Command): Command =>
  command
    .option('--json', 'print JSON for programs')
    .option('--context <file>', 'which coordinator, and as whom (default: BILLET_CONTEXT)');

/** Help text with examples, one a line. */
export const withExamples = (command: Command, ...lines: readonly string[]): Command =>
  command.addHelpText('after', `\nExamples:\n${lines.map((line) => `  ${line}`).join('\n')}`);

/** Runs `work` with the coordinator of the context, and closes the connection whatever happens. */
export async function withCoordinator<T>(
  io: CommandIo,
  options: RemoteOptions,
  work: (coordinator: Coordinator) => Promise<T>,
): Promise<T> {
  const coordinator = connect(io, await loadContext(io, options.context));
  try {
    return await work(coordinator);
  } finally {
    await followCa(io, coordinator);
    await coordinator.close();
  }
}

/** An argument as `schema` reads it. Throws ARGUMENT_INVALID, naming `what`. */
export function parseArgument<S extends z.ZodType>(
  schema: S,
  value: unknown,
  what: string,
): z.infer<S> {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const why = describeFaults(parsed.error);
  throw new BilletError('ARGUMENT_INVALID', `${what} ${shown(value)}: ${why}`, {
    hint: 'add --help to the command to see what it takes',
  });
}

/** An instance by its id, or by the name of its node. Throws NOT_FOUND when the node has none. */
export async function resolveInstance(coordinator: Coordinator, text: string): Promise<InstanceId> {
  const id = InstanceId.safeParse(text);
  if (id.success) return id.data;
  const params: Params<typeof routes.getNode> = { name: parseArgument(NodeName, text, 'node') };
  const node = await coordinator.call(routes.getNode, { params });
  if (node.instance !== null) return node.instance;
  throw new BilletError('NOT_FOUND', `node ${node.name} has no instance`, {
    hint: `billet instance create ${node.name}`,
  });
}

/** For options that may be given several times. */
export const collect = (value: string, before: readonly string[] = []): readonly string[] => [
  ...before,
  value,
];

const shown = (value: unknown) => (typeof value === 'string' ? JSON.stringify(value) : '');
