// `billet-agent nixos-install`: from the environment of a NixOS installer onto a disk. Enrolls, asks what
// this machine should be, and installs that; wires, and decides nothing.

import { mkdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { BilletError } from '#shared/errors.ts';
import { bootLog } from '../../boot/boot-log.ts';
import type { AgentConfig } from '../../config.ts';
import { hostExec } from '../../drivers/exec.ts';
import { hostMounts } from '../../drivers/mounts.ts';
import { runPaths } from '../../handover.ts';
import { installPorts } from '../../install/machine.ts';
import type { AgentIo } from '../../io.ts';
import { readEnvelope } from '../../link/desired.ts';
import { hostNix } from '../drivers/nix.ts';
import { uplinkByHand } from '../uplink.ts';
import { INSTALL_DISK } from './programs.ts';
import { runNixosInstall } from './run-nixos-install.ts';

export interface NixosInstallFlags {
  /** Where the Disko program mounts the new system. */
  readonly root?: string | undefined;
  readonly 'dry-run': boolean;
}

/** Throws why it did not install: see runNixosInstall. */
export async function nixosInstall(
  config: AgentConfig,
  flags: NixosInstallFlags,
  io: AgentIo,
  say: (line: string) => void,
  signal: AbortSignal,
): Promise<void> {
  const root = mountPoint(flags.root ?? '/mnt');
  const { clock } = io;
  const { stateDir, runDir } = config;
  const { policy, host, facts, instance, uplink } = await uplinkByHand(config, io, say, signal);
  try {
    const { reply } = await uplink.fetchDesired(signal);
    const desired = readEnvelope(reply.envelope, instance);
    const { closure } = desired;
    if (closure === null)
      throw new BilletError('NIX_CLOSURE_INVALID', `node ${desired.node} has no closure`, {
        hint: 'name a NixOS system in the spec of the node: closure.storePath',
      });
    await mkdir(runDir, { recursive: true, mode: 0o700 });
    const { uptimeSeconds } = await host.vitals();
    const started = clock.monotonic() - uptimeSeconds * 1000;
    const log = bootLog({
      say,
      uptimeSeconds: () => Math.round((clock.monotonic() - started) / 1000),
      path: join(runDir, 'nixos-install.jsonl'),
    });
    const machine = { clock, log, exec: hostExec, mounts: hostMounts(), vault: null };
    const paths = { ...runPaths(runDir), state: stateDir };
    const ports = installPorts({ ...machine, releaseData: null, paths });
    const netrc = join(stateDir, 'netrc');
    const outcome = await runNixosInstall(
      ports,
      {
        ...{ desired, policy, uplink, dryRun: flags['dry-run'] },
        facts: await facts(),
        bootId: await host.bootId(),
      },
      {
        ...{ closure, keys: policy.nixKeys ?? [], root, link: INSTALL_DISK, liveRoot: '/' },
        live: hostNix({ exec: hostExec, root: '/', netrc }),
        target: hostNix({ exec: hostExec, root, netrc }),
      },
      signal,
    );
    say(
      outcome.kind === 'planned'
        ? `it would install on ${outcome.disk}: ${outcome.steps.join(', ')}`
        : `installed on ${outcome.disk}: restart, and boot from it`,
    );
  } finally {
    await uplink.close();
  }
}

/** What is mounted there is unmounted first: that of a run that was cut off. Throws ARGUMENT_INVALID. */
function mountPoint(path: string): string {
  const root = resolve(path);
  if (root !== '/') return root;
  throw new BilletError('ARGUMENT_INVALID', 'the new system cannot be mounted on /', {
    hint: 'leave --root out (/mnt), or name the disko.rootMountPoint of the configuration',
  });
}
