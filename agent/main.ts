// The agent's entry. The one place that reads arguments and environment of the process.

import { parseArgs } from 'node:util';
import { systemClock } from '#shared/clock.ts';
import { BilletError } from '#shared/errors.ts';
import { askPlan, askStatus } from './ask.ts';
import { CONFIG_FILE, loadConfig } from './config.ts';
import { hostExec } from './drivers/exec.ts';
import { openLog } from './drivers/journal.ts';
import { hostMountTable } from './drivers/mount-table.ts';
import { hostMounts } from './drivers/mounts.ts';
import { inheritedFds, openNotify } from './drivers/notify.ts';
import { systemdUnits } from './drivers/units.ts';
import type { AgentIo } from './io.ts';

const NODE_MAJOR = 26;

const USAGE = `usage: billet agent run [--config FILE]       run as the agent of this machine
       billet agent enroll [WORDS]            get a certificate, and start the service
       billet agent status [--json]           what the running agent knows
       billet agent plan [--json]             what it would do next
       billet agent detach                    stop and unmount all modules, when no agent runs
       billet agent boot                      bring a machine up; in the initramfs only
       billet agent nixos-install [--root DIR] [--dry-run]
                                              onto a disk, from a NixOS installer
       billet agent nix-bundle REPOSITORY@DIGEST DIR
                                              a flake from the coordinator's registry

WORDS   --identity FILE                       JSON of \`billet token create --write\`; - is stdin
  or    --coordinator URL --ca sha256:DIGEST  to be claimed by an operator, and with
        --instance ID --token-file FILE       to use a token (its first line; - is stdin)
        --policy FILE                         becomes the trust policy of this machine
        --no-start                            leave the service as it is
`;

const OPTIONS = {
  help: { type: 'boolean', default: false, short: 'h' },
  config: { type: 'string' },
  identity: { type: 'string' },
  coordinator: { type: 'string' },
  ca: { type: 'string' },
  instance: { type: 'string' },
  'token-file': { type: 'string' },
  policy: { type: 'string' },
  'no-start': { type: 'boolean', default: false },
  json: { type: 'boolean', default: false },
  root: { type: 'string' },
  'dry-run': { type: 'boolean', default: false },
} as const;

/** Runs one command to its end. Throws a BilletError, or a defect. */
export async function runAgent(args: readonly string[]): Promise<void> {
  const fds = inheritedFds(process.env, process.pid);
  const log = openLog({ journalFd: fds.get('journal') ?? null, stderr: process.stderr });
  const io: AgentIo = {
    clock: systemClock,
    random: Math.random,
    log,
    notify: openNotify(fds.get('notify') ?? null),
    architecture: ARCHITECTURES[process.arch] ?? process.arch,
  };
  try {
    await dispatch(args, io, stopSignal());
  } catch (error) {
    if (args[0] === 'run') log.fail(error);
    throw error;
  } finally {
    await log.close();
  }
}

/** Names of uname(2). */
const ARCHITECTURES: Readonly<Record<string, string>> = { x64: 'x86_64', arm64: 'aarch64' };

async function dispatch(args: readonly string[], io: AgentIo, signal: AbortSignal): Promise<void> {
  const { verb, words, options } = parse(args);
  if (options.help) return void process.stdout.write(USAGE);
  const config = await loadConfig(options.config ?? CONFIG_FILE);
  switch (verb) {
    case 'run':
      return await (await import('./run.ts')).run(config, io, signal);
    case 'enroll': {
      const { enrollByHand } = await import('./enroll-by-hand.ts');
      return await enrollByHand(config, options, io, say, signal);
    }
    case 'status':
      process.stdout.write(await askStatus(config.runDir, options.json));
      return;
    case 'plan':
      process.stdout.write(await askPlan(config.runDir, options.json));
      return;
    case 'detach': {
      const { detachAll } = await import('./detach.ts');
      const deps = {
        units: systemdUnits({ exec: hostExec }),
        mounts: hostMountTable(hostMounts()),
      };
      const names = await detachAll({ ...deps, runDir: config.runDir }, signal);
      for (const name of names) say(`${name}: detached`);
      return;
    }
    case 'boot': {
      const { machinePorts } = await import('./boot/machine.ts');
      const { runBoot } = await import('./boot/run-boot.ts');
      await runBoot(await machinePorts({ ...io, metadata: config.metadata }), signal);
      return;
    }
    case 'nix-bundle': {
      const { nixBundle } = await import('./nix/bundle.ts');
      return await nixBundle(config, words, io, say, signal);
    }
    case 'nixos-install': {
      const { nixosInstall } = await import('./nix/install/command.ts');
      return await nixosInstall(config, options, io, say, signal);
    }
    default:
      throw new BilletError('ARGUMENT_INVALID', `no command ${JSON.stringify(verb ?? '')}`, {
        hint: USAGE,
      });
  }
}

const say = (line: string): void => {
  process.stdout.write(`${line}\n`);
};

function parse(args: readonly string[]) {
  try {
    const { values, positionals } = parseArgs({
      args: [...args],
      options: OPTIONS,
      allowPositionals: true,
    });
    const [verb, ...rest] = positionals;
    if (rest.length > 0 && verb !== 'nix-bundle')
      throw new TypeError(`unexpected ${rest.join(' ')}`);
    return { verb, words: rest, options: values };
  } catch (cause) {
    throw new BilletError(
      'ARGUMENT_INVALID',
      cause instanceof Error ? cause.message : String(cause),
      {
        hint: USAGE,
        cause,
      },
    );
  }
}

function stopSignal(): AbortSignal {
  const stop = new AbortController();
  for (const name of ['SIGTERM', 'SIGINT'] as const) process.once(name, () => stop.abort());
  return stop.signal;
}

function assertNode(): void {
  const major = Number(process.versions.node.split('.')[0]);
  if (major >= NODE_MAJOR) return;
  process.stderr.write(
    `billet agent: Node ${NODE_MAJOR} is needed, this is ${process.versions.node}\n` +
      `  install it from nodejs.org, or with \`npm install\` in the source tree\n`,
  );
  process.exit(1);
}

async function main(args: readonly string[]): Promise<number> {
  assertNode();
  try {
    await runAgent(args);
    return 0;
  } catch (error) {
    const known = error instanceof BilletError ? error : null;
    const text = known ? `${known.code}: ${known.message}\n  ${known.hint}` : String(error);
    process.stderr.write(`billet agent: ${text}\n`);
    return exitCode(known?.code, args[0]);
  }
}

/**
 * EX_CONFIG of sysexits(3) when nothing but a person can mend it: the unit is not started again until
 * somebody does.
 */
function exitCode(code: string | undefined, verb: string | undefined): number {
  if (code === 'ARGUMENT_INVALID') return 2;
  return verb === 'run' && (code === 'CONFIG_INVALID' || code === 'IDENTITY_MISSING') ? 78 : 1;
}

if (import.meta.main) process.exitCode = await main(process.argv.slice(2));
