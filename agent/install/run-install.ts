// An installation from its order to its end: observe, plan, apply, each shown and reported. Restarts
// nothing; the caller does.

import { BilletError } from '#shared/errors.ts';
import type { InstallOrder } from '#shared/schema/install-plan.ts';
import type { InstallCandidate } from '#shared/schema/install-report.ts';
import { applySteps } from './apply.ts';
import { blame } from './blame.ts';
import { verifiedBoot } from './boot-files.ts';
import { firstRecord, openJournal, type WriteRecord, writeRecord } from './journal.ts';
import { seeDisks, seeTables } from './observe.ts';
import { type InstallDecision, type InstallWork, planInstall } from './plan.ts';
import type { InstallOutcome, InstallPorts, InstallRequest } from './ports.ts';
import { installNews, type NewsOf, showPlan } from './report.ts';
import { isBegunBy, isInstalledBy, layoutOf, type SeenDisk, type SeenTable } from './seen.ts';
import type { StepContext } from './step.ts';
import { STEPS } from './steps/table.ts';

const NO_KEY = () => null;

/** Resolves with what came of it, a refusal included. Rejects only when `signal` aborts. */
export async function runInstall(
  ports: InstallPorts,
  request: InstallRequest,
  signal: AbortSignal,
  write: WriteRecord = writeRecord,
): Promise<InstallOutcome> {
  const order = request.desired.install;
  if (order === null) return { kind: 'none' };
  try {
    // At each boot from then on: a short look will do.
    const tables = await seeTables(ports);
    const done = tables.find((each) => isInstalledBy(each, order.event));
    if (done !== undefined) return await present(ports, request, done, signal);
    const begun = tables.some((each) => isBegunBy(each, order.event));
    if (request.fromDisk === true && !begun) return { kind: 'none' };
    const decision = await decide(ports, request, order, signal);
    if (decision.kind === 'present') return await present(ports, request, decision.on, signal);
    if (decision.kind === 'refuse') return await refuse(ports, request, decision, signal);
    if (request.dryRun) return await rehearse(ports, request, decision, signal);
    return await install(ports, request, { order, work: decision, write }, signal);
  } catch (error) {
    signal.throwIfAborted();
    const problem = asBillet(error);
    ports.log.failure('install-plan', problem);
    return { kind: 'failed', problem };
  }
}

async function decide(
  ports: InstallPorts,
  { desired, facts }: InstallRequest,
  order: InstallOrder,
  signal: AbortSignal,
): Promise<InstallDecision> {
  const disks = await seeDisks(ports, signal);
  const profiles = await ports.profiles();
  const { instance, bootImage } = desired;
  return planInstall({ order, instance, bootImage, firmware: facts.firmware, disks, profiles });
}

/** Says so again: the report of the boot that did it may not have arrived. */
async function present(
  ports: InstallPorts,
  request: InstallRequest,
  on: SeenTable,
  signal: AbortSignal,
): Promise<InstallOutcome> {
  const layout = layoutOf(on);
  if (layout === null)
    throw new BilletError(
      'INSTALL_STEP_FAILED',
      `${on.disk.name} is installed, and lacks a partition`,
      { hint: 'put the partition back, or order it anew with `billet instance install NAME`' },
    );
  const { disk, record } = on;
  const recoveryKey = () => record?.recoveryKey ?? null;
  const news = installNews(ports, request, { disk, candidates: [], recoveryKey }, signal);
  await news.end('installed');
  ports.log.marker('installed', { disk: disk.name, now: false });
  return { kind: 'present', on: layout };
}

async function refuse(
  ports: InstallPorts,
  request: InstallRequest,
  { problem, candidates }: Extract<InstallDecision, { kind: 'refuse' }>,
  signal: AbortSignal,
): Promise<InstallOutcome> {
  ports.log.failure('install-plan', withCandidates(problem, candidates));
  const about: NewsOf = { disk: null, candidates, recoveryKey: NO_KEY };
  await installNews(ports, request, about, signal).end('refused', problem);
  return { kind: 'refused', problem };
}

async function rehearse(
  ports: InstallPorts,
  request: InstallRequest,
  work: InstallWork,
  signal: AbortSignal,
): Promise<InstallOutcome> {
  showPlan(ports, work, { dryRun: true });
  const { disk } = work.on;
  const about: NewsOf = { disk, candidates: work.candidates, recoveryKey: NO_KEY };
  await installNews(ports, request, about, signal).end('planned');
  return { kind: 'planned', disk };
}

interface Installation {
  readonly order: InstallOrder;
  readonly work: InstallWork;
  readonly write: WriteRecord;
}

async function install(
  ports: InstallPorts,
  request: InstallRequest,
  { order, work, write }: Installation,
  signal: AbortSignal,
): Promise<InstallOutcome> {
  const { on, profile, candidates } = work;
  const { disk } = on;
  const journal = openJournal(on.device, firstRecord(request, order, work), write);
  const recoveryKey = () => journal.record.recoveryKey;
  const news = installNews(ports, request, { disk, candidates, recoveryKey }, signal);
  const context: StepContext = {
    ...{ ports, request, on, profile, journal },
    onProgress: (share) => news.progress(share),
  };
  showPlan(ports, work, { dryRun: false });
  try {
    // Before anything is lost: what could never be installed costs no data.
    await verifiedBoot(request, signal);
    if (work.releases) await releaseData(ports, on, signal);
    await applySteps(context, work.steps, { table: STEPS, blame }, news, signal);
    const now = (await seeTables(ports)).find((each) => each.disk.name === disk.name);
    const layout = now === undefined ? null : layoutOf(now);
    if (layout === null) throw new TypeError(`${disk.name} lost its partitions`);
    ports.log.marker('installed', { disk: disk.name, now: true });
    await news.installed();
    return { kind: 'installed', on: layout };
  } catch (error) {
    signal.throwIfAborted();
    const problem = asBillet(error);
    ports.log.failure('install-step', problem);
    await news.end('failed', problem);
    return { kind: 'failed', problem };
  } finally {
    await news.settle();
  }
}

async function releaseData(
  { releaseData: release }: InstallPorts,
  { disk }: SeenDisk,
  signal: AbortSignal,
): Promise<void> {
  if (release !== null) return await release(signal);
  throw new BilletError('INSTALL_DISK_IN_USE', `this boot keeps its data on ${disk.name}`, {
    hint: 'boot it from the medium, or let the plan name another disk',
  });
}

/** All in one line, for whoever stands before the machine. */
function withCandidates(
  problem: BilletError,
  candidates: readonly InstallCandidate[],
): BilletError {
  const each = candidates.map(({ disk, reason, wipeId }) => {
    const size = `${(disk.sizeBytes / 1e9).toFixed(1)} GB`;
    const name =
      disk.byId?.[0] === undefined ? disk.name : `${disk.name} (${disk.byId[0]}, ${size})`;
    return `${name}: ${reason}${wipeId === undefined ? '' : ` [${wipeId}]`}`;
  });
  const { code, message, hint, details } = problem;
  const text = each.length === 0 ? message : `${message}. Disks: ${each.join('. ')}`;
  return new BilletError(code, text, { hint, details });
}

const asBillet = (error: unknown): BilletError =>
  error instanceof BilletError
    ? error
    : new BilletError('INTERNAL', error instanceof Error ? error.message : String(error), {
        hint: 'this is a defect in Billet: please report it with the lines above',
        cause: error,
      });
