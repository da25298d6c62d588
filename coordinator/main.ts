// Wires the coordinator: state on disk, authority, registry, live nodes, listeners; starts and stops
// them. Every decision is in what it wires.

import { chmod, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { type Clock, systemClock } from '#shared/clock.ts';
import type { Digest } from '#shared/digest.ts';
import { BilletError } from '#shared/errors.ts';
import { ensureAdminContext } from './access/admin-context.ts';
import { failureLimit } from './access/failure-limit.ts';
import { openBackupSource } from './backup/handlers.ts';
import { settleRestore } from './backup/settle.ts';
import { openCa } from './ca/open.ts';
import { callers as openCallers, peerOf } from './caller.ts';
import { claimLimits } from './claims/limits.ts';
import { type Config, type ConfigInput, loadConfig, parseConfig, splitListen } from './config.ts';
import type { Deps } from './deps.ts';
import { problemOf } from './http/problem.ts';
import { sendProblem } from './http/respond.ts';
import { openLive } from './live/open.ts';
import { type Log, lineLog } from './log.ts';
import { advertisedUrl, serverNames } from './names.ts';
import { netboot } from './netboot/handler.ts';
import { comebacks as openComebacks } from './nodes/comebacks.ts';
import { once } from './once.ts';
import type { Providers } from './providers/provider.ts';
import { openProvisioning } from './provisioning/open.ts';
import { records as openRecords } from './records.ts';
import { openRegistryServer } from './registry/handler.ts';
import { isRegistryPath, registryGate } from './registry-gate.ts';
import { router } from './router.ts';
import { handlers } from './routes/handlers.ts';
import { listenHttp, listenHttps } from './server.ts';
import { sqliteStore } from './store/sqlite.ts';
import type { Store } from './store/store.ts';
import { startSweeps } from './sweeps.ts';
import { openStamp } from './upgrade/stamp.ts';

export interface Coordinator {
  /** Base URL for nodes and operators, https. */
  readonly url: string;
  /** Base URL for firmware, http; null when network boot is off. */
  readonly bootUrl: string | null;
  /** The real ports, also where 0 was asked for. */
  readonly port: number;
  readonly bootPort: number | null;
  /** SHA-256 of the CA certificate that issues now: what nodes pin. */
  readonly caFingerprint: Digest;
  /** A context file for the CLI, mode 0600. */
  readonly adminContextPath: string;
  /** Drains, flushes and closes. Idempotent. */
  stop(): Promise<void>;
}

export interface CoordinatorOptions {
  readonly clock?: Clock;
  readonly log?: Log;
  /** Stops the coordinator when it aborts. */
  readonly signal?: AbortSignal;
  /** The engine over that file: SQLite. Tests wrap it, to fail where they want. */
  readonly openStore?: (path: string) => Store;
  /** Who makes machines, in place of what the configuration says. For tests. */
  readonly openProviders?: () => Providers;
}

/** Resolves when requests are served. Throws what the parts throw: CA_INVALID, STORE_LOCKED … */
export async function startCoordinator(
  input: ConfigInput,
  options: CoordinatorOptions = {},
): Promise<Coordinator> {
  const config = parseConfig(input);
  const { clock = systemClock, log = lineLog((line) => process.stderr.write(line)) } = options;
  const { openStore = (path: string) => sqliteStore({ path }) } = options;
  const { stateDir, trustDomain } = config;
  const adminContextPath = join(stateDir, 'admin.json');
  /** Ends waiting requests; then, when they are answered, everything in the background. */
  const stopping = new AbortController();
  const background = new AbortController();
  const { signal } = background;
  let ready = false;

  await mkdir(stateDir, { recursive: true, mode: 0o700 });
  await chmod(stateDir, 0o700);
  const settled = await settleRestore(stateDir);
  if (settled !== 'nothing') log.warn('a restore was cut short', { settled });
  const store = openStore(join(stateDir, 'store.sqlite'));
  /** Closes what is open when a later step of the start fails. */
  await using undo = new AsyncDisposableStack();
  undo.defer(() => store.close());
  undo.defer(() => background.abort());
  const records = openRecords(store, clock);
  await openStamp(records, clock);
  const names = serverNames(config, splitListen(config.listen).host);
  const directory = join(stateDir, 'ca');
  const ca = await openCa({ directory, trustDomain, names, records, clock, log, signal });
  const { authority, register, revocations, rotation, gate, arrivals } = ca;
  const failures = failureLimit(clock);
  const comebacks = openComebacks({ records, clock, log });
  const callers = openCallers({ gate, arrivals, records, clock, failures, comebacks });
  const registry = await openRegistryServer({
    root: join(stateDir, 'registry'),
    clock,
    onError: (error) => log.error('the registry failed', { why: String(error) }),
  });
  const live = { config, records, authority, clock, log, callers, signal, stopping };
  const nodes = await openLive(live);

  const provisioning = openProvisioning({
    ...{ config, records, authority, register, revocations, clock, log, seen: nodes.seen },
    url: () => advertisedUrl(config, 'https', https),
    bootUrl: () => boot && advertisedUrl(config, 'http', boot),
    openProviders: options.openProviders,
  });

  const deps: Deps = {
    clock,
    log,
    records,
    images: registry,
    authority,
    register,
    revocations,
    rotation,
    trustDomain,
    ...nodes.deps,
    backup: await openBackupSource(stateDir),
    ...provisioning.deps,
    comebacks,
    failures,
    claims: claimLimits(clock, config.claims),
    url: () => advertisedUrl(config, 'https', https),
    isReady: () => ready,
  };
  const caller = callers.ofRoute;
  const route = router({ handlers, deps, caller, stopping: stopping.signal });
  const gated = registryGate(callers, registry.handle);

  const https = await listenHttps({
    listen: config.listen,
    ...ca.identity.current,
    connectionsMax: config.connectionsMax,
    onUpgrade: nodes.upgrade,
    serialOf(socket) {
      try {
        return peerOf(gate, socket).serial;
      } catch (error) {
        if (error instanceof BilletError) return null;
        throw error;
      }
    },
    onRequest(request, response) {
      const answered = isRegistryPath(request.url ?? '')
        ? gated(request, response)
        : route({ request, response });
      answered.catch((error) =>
        sendProblem({ request, response }, problemOf(error, 'unknown', 'request', log)),
      );
    },
  });
  undo.defer(() => https.stop(AbortSignal.abort()));
  const boot =
    config.bootListen === null
      ? null
      : await listenHttp({
          listen: config.bootListen,
          connectionsMax: config.connectionsMax,
          onRequest: netboot({ ...deps, registry: registry.handle }),
        });
  undo.defer(() => boot?.stop(AbortSignal.abort()));
  revocations.onRevoked(({ serial }) => https.disconnect(serial));
  const adminContext = () => ({ url: deps.url(), ca: authority.bundlePem });
  await ensureAdminContext(records, adminContextPath, adminContext());
  ca.onChange(async () => {
    https.setCertificate(ca.identity.current);
    await ensureAdminContext(records, adminContextPath, adminContext());
  });
  undo.move();
  ready = true;

  const { removeAbandonedUploads } = registry;
  const upkeep = { removeAbandonedUploads, keepCertificateFresh: ca.keepFresh };
  const work = [
    ...startSweeps({ ...deps, ...upkeep, config, seen: nodes.seen }, signal),
    ...nodes.work,
    ...provisioning.start(signal),
  ];

  const stop = once(async () => {
    ready = false;
    log.info('stopping');
    stopping.abort();
    nodes.close();
    const deadline = AbortSignal.timeout(config.stopSeconds * 1000);
    await Promise.all([https.stop(deadline), boot?.stop(deadline)]);
    background.abort();
    await Promise.all(work);
    await nodes.flush();
    await store.close();
    log.info('stopped');
  });
  const stopLogged = () =>
    void stop().catch((error) => log.error('the stop failed', { why: String(error) }));
  options.signal?.addEventListener('abort', stopLogged, { once: true });
  revocations.done.catch((error) => {
    log.error('the watch of revocations broke: nothing is served without it', {
      why: String(error),
    });
    stopLogged();
  });

  const bootUrl = boot && advertisedUrl(config, 'http', boot);
  log.info('serving', {
    url: deps.url(),
    ...{ boot: bootUrl, admin: adminContextPath },
    ca: authority.fingerprint,
    history: store.historyId,
  });
  return {
    url: deps.url(),
    bootUrl,
    port: https.port,
    bootPort: boot?.port ?? null,
    get caFingerprint() {
      return authority.fingerprint;
    },
    adminContextPath,
    stop,
  };
}

/** `node coordinator/main.ts [flags]`: until SIGTERM or SIGINT. */
export async function runCoordinator(args: readonly string[]): Promise<void> {
  const log = lineLog((line) => process.stderr.write(line));
  const ended = Promise.withResolvers<void>();
  // Who read the log is gone; the coordinator is not.
  process.stderr.on('error', () => {});
  try {
    const config: Config = await loadConfig(args);
    const coordinator = await startCoordinator(config, { log });
    for (const signal of ['SIGTERM', 'SIGINT'] as const)
      process.once(signal, () => coordinator.stop().then(ended.resolve, ended.reject));
    await ended.promise;
  } catch (error) {
    if (!(error instanceof BilletError)) throw error;
    log.error(error.message, { code: error.code, hint: error.hint });
    process.exitCode = error.code === 'ARGUMENT_INVALID' ? 2 : 1;
  }
}

if (import.meta.main) await runCoordinator(process.argv.slice(2));
