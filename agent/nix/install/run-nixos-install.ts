// Installs a NixOS system on the disk of an install plan, from an environment that runs already: decides
// as every installation does (agent/install/plan.ts: selector, wipe id, one event once), and takes the
// steps of its own profile. Restarts nothing.

import { BilletError } from '#shared/errors.ts';
import type { InstallStep } from '#shared/schema/install-report.ts';
import { execOrThrow } from '../../drivers/exec.ts';
import { applySteps } from '../../install/apply.ts';
import { type Blame, blame } from '../../install/blame.ts';
import { firstRecord, openJournal } from '../../install/journal.ts';
import { seeDisks } from '../../install/observe.ts';
import { planInstall } from '../../install/plan.ts';
import type { InstallPorts, InstallRequest } from '../../install/ports.ts';
import { installNews, showPlan } from '../../install/report.ts';
import type { Profile } from '../../install/seen.ts';
import { describedClosure } from '../pull.ts';
import { PROGRAMS, type Program, programOf } from './programs.ts';
import { NIXOS_STEPS, type NixosContext, type NixosInstall, STEPS } from './steps.ts';

/** Its layout is the closure's own; what it needs at least. */
const NIXOS_PROFILE: Profile = {
  name: 'nixos-disko',
  dir: '',
  sizeBytesMin: 1024 ** 3,
  labels: [],
  encrypts: false,
  tableByProgram: true,
};

export type NixosInstallOutcome =
  /** Done now, or by an earlier run: restart, and boot from that disk. */
  | { readonly kind: 'installed' | 'present'; readonly disk: string }
  | { readonly kind: 'planned'; readonly disk: string; readonly steps: readonly InstallStep[] };

const NO_KEY = () => null;

/**
 * Throws why it was refused (INSTALL_…, NIX_SIGNATURE_…: nothing is written then) or what a step came to
 * (the next call goes on there). Both are reported before.
 */
export async function runNixosInstall(
  ports: InstallPorts,
  request: InstallRequest,
  nixos: NixosInstall,
  signal: AbortSignal,
): Promise<NixosInstallOutcome> {
  const { desired, facts } = request;
  const order = desired.install;
  if (order === null)
    throw new BilletError('INSTALL_PROFILE_UNKNOWN', 'nothing is ordered to be installed here', {
      hint: `give the class or the node an install plan with the profile ${NIXOS_PROFILE.name}`,
    });
  // Of a run that was cut off: a disk that is in use is not written to.
  if (!request.dryRun) await releaseRoot(ports, nixos.root, signal);
  const decision = planInstall({
    order,
    instance: desired.instance,
    bootImage: desired.bootImage,
    ownLoader: true,
    firmware: facts.firmware,
    disks: await seeDisks(ports, signal),
    profiles: [NIXOS_PROFILE],
  });
  const { candidates } = { candidates: [], ...decision };
  const disk = decision.kind === 'refuse' ? null : decision.on.disk;
  const news = installNews(ports, request, { disk, candidates, recoveryKey: NO_KEY }, signal);
  try {
    if (decision.kind === 'refuse') throw decision.problem;
    if (decision.kind === 'present') {
      await news.end('installed');
      return { kind: 'present', disk: decision.on.disk.name };
    }
    const { on } = decision;
    const steps = NIXOS_STEPS.filter((step) => decision.steps.includes(step));
    // Before anything is lost: what could never be installed costs no data.
    await assertInstallable(nixos, signal);
    showPlan(ports, { ...decision, steps }, request);
    if (request.dryRun) {
      await news.end('planned');
      return { kind: 'planned', disk: on.disk.name, steps };
    }
    const context: NixosContext = {
      ...{ ports, request, on, profile: NIXOS_PROFILE, nixos },
      journal: openJournal(on.device, firstRecord(request, order, decision)),
      onProgress: (share) => news.progress(share),
    };
    await applySteps(context, steps, { table: STEPS, blame: blameNix }, news, signal);
    ports.log.marker('installed', { disk: on.disk.name, now: true });
    await news.installed();
    return { kind: 'installed', disk: on.disk.name };
  } catch (error) {
    signal.throwIfAborted();
    const refused = decision.kind === 'refuse';
    ports.log.failure(refused ? 'install-plan' : 'install-step', error);
    if (error instanceof BilletError) await news.end(refused ? 'refused' : 'failed', error);
    throw error;
  } finally {
    await news.settle();
  }
}

/** Of Nix itself it is known already. */
const blameNix: Blame = (error, at) =>
  error instanceof BilletError && error.code.startsWith('NIX_') ? error : blame(error, at);

async function releaseRoot({ exec, mounts }: InstallPorts, root: string, signal: AbortSignal) {
  if (!(await mounts.table()).some(({ target }) => target === root)) return;
  const argv = ['umount', '--recursive', root] as const;
  await execOrThrow(exec, argv, signal, `close what is open below ${root}: fuser -vm ${root}`);
}

async function assertInstallable(nixos: NixosInstall, signal: AbortSignal): Promise<void> {
  const { closure, keys, live, liveRoot } = nixos;
  const deps = { nix: live, keys, root: liveRoot };
  const { infos } = await describedClosure(closure, deps, signal);
  for (const program of Object.keys(PROGRAMS) as Program[]) programOf(program, infos);
}
