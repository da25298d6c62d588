// `billet agent …`: starts the agent's own main with the same words. What they mean stands there.

import { Command } from 'commander';
import type { CommandIo } from '../command-io.ts';
import { loadPart } from '../part.ts';
import { withExamples } from '../remote.ts';

interface AgentMain {
  runAgent(args: readonly string[]): Promise<void>;
}

export function agentCommand(_io: CommandIo): Command {
  const command = new Command('agent').description(
    'The agent of this machine, on the machine itself.',
  );
  const run = command
    .command('run')
    .description('Run as the agent, until stopped.')
    .option('--config <file>', 'instead of /etc/billet/agent.json')
    .action((options: { config?: string }) =>
      start(['run', ...valued('--config', options.config)]),
    );
  withExamples(run, 'billet agent run --config /etc/billet/agent.json');
  const enroll = command
    .command('enroll')
    .description('Trade the bootstrap token for a certificate, and exit.')
    .option('--config <file>', 'instead of /etc/billet/agent.json')
    .option('--identity <file>', 'JSON with coordinator, ca, instance and token')
    .action((options: { config?: string; identity?: string }) =>
      start([
        'enroll',
        ...valued('--config', options.config),
        ...valued('--identity', options.identity),
      ]),
    );
  withExamples(enroll, 'billet agent enroll --identity identity.json');
  for (const [name, description] of [
    ['status', 'Show what the running agent knows.'],
    ['plan', 'Show what the running agent would do next.'],
  ] as const) {
    const child = command
      .command(name)
      .description(description)
      .option('--config <file>', 'instead of /etc/billet/agent.json')
      .option('--json', 'print JSON')
      .action((options: { config?: string; json?: boolean }) =>
        start([
          name,
          ...valued('--config', options.config),
          ...(options.json === true ? ['--json'] : []),
        ]),
      );
    withExamples(child, `billet agent ${name}`, `billet agent ${name} --json`);
  }
  return withExamples(command, 'billet agent status', 'billet agent plan --json');
}

const valued = (option: string, value: string | undefined): string[] =>
  value === undefined ? [] : [option, value];

/** Loaded by its address: the CLI starts the agent and shares no code with it. */
async function start(args: readonly string[]): Promise<void> {
  const { runAgent } = await loadPart<AgentMain>('agent');
  await runAgent(args);
}
