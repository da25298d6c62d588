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
    .description('Trade a token or a claim for a certificate, and start the service.')
    .option('--config <file>', 'instead of /etc/billet/agent.json')
    .option('--identity <file>', 'JSON of `billet token create --write`; - is stdin')
    .option('--coordinator <url>', 'with --ca: to be claimed by an operator')
    .option('--ca <digest>', "fingerprint of the coordinator's CA")
    .option('--instance <id>', 'with --token-file: to use a token')
    .option('--token-file <file>', 'its first line is the token; - is stdin')
    .option('--policy <file>', 'becomes the trust policy of this machine')
    .option('--no-start', 'leave the service as it is')
    .action((options: Readonly<Record<string, string | boolean | undefined>>) =>
      start([
        'enroll',
        ...Object.entries(ENROLL_WORDS).flatMap(([name, word]) => valued(word, options[name])),
        ...(options.start === false ? ['--no-start'] : []),
      ]),
    );
  withExamples(
    enroll,
    'billet agent enroll --identity web-1.json --policy trust-policy.json',
    'billet agent enroll --coordinator https://192.0.2.10:8443 --ca sha256:… \\',
    '    --policy trust-policy.json',
  );
  const detach = command
    .command('detach')
    .description('Stop and unmount all service modules, when no agent runs.')
    .option('--config <file>', 'instead of /etc/billet/agent.json')
    .action((options: { config?: string }) =>
      start(['detach', ...valued('--config', options.config)]),
    );
  withExamples(detach, 'systemctl stop billet-agent && billet agent detach');
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
  addNix(command);
  return withExamples(command, 'billet agent status', 'billet agent plan --json');
}

/** What a NixOS installer runs. */
function addNix(parent: Command): void {
  const install = parent
    .command('nixos-install')
    .description('Install the NixOS closure of this node onto the disk of its plan.')
    .option('--root <dir>', 'where the new system is mounted')
    .option('--dry-run', 'show which disk is meant; write nothing')
    .option('--config <file>', 'instead of /etc/billet/agent.json')
    .action((options: { root?: string; dryRun?: boolean; config?: string }) =>
      start([
        'nixos-install',
        ...valued('--root', options.root),
        ...(options.dryRun === true ? ['--dry-run'] : []),
        ...valued('--config', options.config),
      ]),
    );
  withExamples(install, 'billet agent nixos-install --dry-run');
  const bundle = parent
    .command('nix-bundle')
    .description('Fetch a signed flake from the registry of the coordinator, and unpack it.')
    .argument('<ref>', 'REPOSITORY@DIGEST; `billet bundle push` prints it')
    .argument('<dir>', 'a folder that is not there yet')
    .option('--config <file>', 'instead of /etc/billet/agent.json')
    .action((reference: string, dir: string, options: { config?: string }) =>
      start(['nix-bundle', reference, dir, ...valued('--config', options.config)]),
    );
  withExamples(bundle, 'billet agent nix-bundle fleet@sha256:… /etc/nixos');
}

/** By the name that commander gives them. */
const ENROLL_WORDS = {
  config: '--config',
  identity: '--identity',
  coordinator: '--coordinator',
  ca: '--ca',
  instance: '--instance',
  tokenFile: '--token-file',
  policy: '--policy',
} as const;

const valued = (option: string, value: string | boolean | undefined): string[] =>
  typeof value === 'string' ? [option, value] : [];

/** Loaded by its address: the CLI starts the agent and shares no code with it. */
async function start(args: readonly string[]): Promise<void> {
  const { runAgent } = await loadPart<AgentMain>('agent');
  await runAgent(args);
}
