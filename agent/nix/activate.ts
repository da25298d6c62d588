// Brings a NixOS system up: profile, then switch-to-configuration in a unit of its own, then, where that
// fails or does not end, the same for the system before. Each part is on record before it begins, so a
// life of the agent that dies anywhere is followed by one that goes on from there.

import { join } from 'node:path';
import type { Clock } from '#shared/clock.ts';
import { BilletError } from '#shared/errors.ts';
import type { SystemPath } from '#shared/schema/nix-closure.ts';
import type { Detached, DetachedState } from './drivers/detached.ts';
import type { Nix } from './drivers/nix.ts';
import type { Activation, NixStateFile, SwitchRecord } from './switch-record.ts';

export interface ActivateDeps {
  readonly clock: Clock;
  readonly nix: Pick<Nix, 'setProfile'>;
  readonly detached: Detached;
  readonly state: NixStateFile;
  /** `/`, or where the store of a test lies. */
  readonly root: string;
  /** The system that runs; null where it is not NixOS. */
  readonly running: () => Promise<SystemPath | null>;
}

/** systemd ends it at its deadline; this long after, it is asked to. */
const GRACE_MS = 30_000;
const POLL_MS = 500;

/**
 * Ends the activation that is on record, or else does this one. Throws NIX_ACTIVATION_FAILED or
 * NIX_ACTIVATION_TIMEOUT once the system before is active again, or could not be made so; the signal's
 * reason, and then the next life goes on.
 */
export async function activate(
  wanted: Activation,
  deps: ActivateDeps,
  signal: AbortSignal,
): Promise<void> {
  const { state } = deps;
  let record = state.value.switching ?? (await begun(wanted, deps, signal));
  for (;;) {
    await state.update({ switching: record });
    const next = await advance(record, deps, signal);
    if (next.kind === 'done') {
      // Before the record goes: else a later activation of the same generation would read this result.
      await forgetUnits(record, deps, signal);
      await state.update({ switching: null });
      if (next.error !== null) throw next.error;
      return;
    }
    record = next.record;
  }
}

async function begun(
  wanted: Activation,
  deps: ActivateDeps,
  signal: AbortSignal,
): Promise<SwitchRecord> {
  await forgetUnits(wanted, deps, signal);
  const before = await deps.running();
  return {
    ...wanted,
    before: before === wanted.storePath ? null : before,
    stage: wanted.activation === 'test' ? 'activate' : 'profile',
    failure: null,
  };
}

async function forgetUnits(
  of: Activation,
  { detached }: ActivateDeps,
  signal: AbortSignal,
): Promise<void> {
  for (const way of ['switch', 'back'] as const) await detached.forget(unitName(way, of), signal);
}

type Next =
  | { readonly kind: 'on'; readonly record: SwitchRecord }
  | { readonly kind: 'done'; readonly error: BilletError | null };

const to = (record: SwitchRecord, change: Partial<SwitchRecord>): Next => ({
  kind: 'on',
  record: { ...record, ...change },
});
const done = (error: BilletError | null): Next => ({ kind: 'done', error });

async function advance(
  record: SwitchRecord,
  deps: ActivateDeps,
  signal: AbortSignal,
): Promise<Next> {
  switch (record.stage) {
    case 'profile':
      await deps.nix.setProfile(record.storePath, signal);
      return to(record, { stage: 'activate' });
    case 'activate': {
      const end = await run('switch', record.storePath, record, deps, signal);
      if (end.kind === 'succeeded') return done(null);
      const failure = await failureOf(record, end, deps, signal);
      if (record.before === null) return done(failed(failure, 'there is no system to go back to'));
      return to(record, { stage: backFrom(record), failure });
    }
    case 'back-profile':
      if (record.before !== null) await deps.nix.setProfile(record.before, signal);
      return to(record, { stage: 'back-activate' });
    case 'back-activate':
      return done(await wentBack(record, deps, signal));
  }
}

const backFrom = ({ activation }: SwitchRecord): SwitchRecord['stage'] =>
  activation === 'test' ? 'back-activate' : 'back-profile';

async function wentBack(
  record: SwitchRecord,
  deps: ActivateDeps,
  signal: AbortSignal,
): Promise<BilletError> {
  const { before, failure } = record;
  const reason = failure ?? { code: 'NIX_ACTIVATION_FAILED' as const, message: 'it failed' };
  if (before === null) return failed(reason, 'there is no system to go back to');
  const end = await run('back', before, record, deps, signal);
  return failed(
    reason,
    end.kind === 'succeeded'
      ? `${before} is active again`
      : `${before} could not be activated again (${described(end)})`,
  );
}

/** Starts the unit unless it is there, and waits for its end. */
async function run(
  way: 'switch' | 'back',
  system: SystemPath,
  record: SwitchRecord,
  { clock, detached, root }: ActivateDeps,
  signal: AbortSignal,
): Promise<DetachedState> {
  const name = unitName(way, record);
  const { timeoutSeconds, activation } = record;
  const known = await detached.state(name, signal);
  if (known.kind === 'none')
    await detached.start(
      {
        name,
        argv: [join(root, system, 'bin/switch-to-configuration'), activation],
        environment: { NIXOS_INSTALL_BOOTLOADER: '0' },
        timeoutSeconds,
      },
      signal,
    );
  const deadline = clock.monotonic() + timeoutSeconds * 1000 + GRACE_MS;
  for (;;) {
    const state = await detached.state(name, signal);
    if (state.kind !== 'running') return state;
    if (clock.monotonic() >= deadline) {
      await detached.forget(name, signal);
      return { kind: 'timed-out' };
    }
    await clock.sleep(POLL_MS, signal);
  }
}

const unitName = (way: 'switch' | 'back', { generation }: Pick<Activation, 'generation'>): string =>
  `billet-nixos-${way}-${generation}.service`;

async function failureOf(
  record: SwitchRecord,
  end: DetachedState,
  { detached }: ActivateDeps,
  signal: AbortSignal,
): Promise<NonNullable<SwitchRecord['failure']>> {
  const said = (await detached.said(unitName('switch', record), signal)).slice(-500);
  const { storePath, activation, timeoutSeconds } = record;
  const message = `switch-to-configuration ${activation} of ${storePath} ${
    end.kind === 'timed-out' ? `did not end within ${timeoutSeconds} s` : described(end)
  }${said === '' ? '' : `: ${said}`}`;
  const code = end.kind === 'timed-out' ? 'NIX_ACTIVATION_TIMEOUT' : 'NIX_ACTIVATION_FAILED';
  return { code, message };
}

function described(end: DetachedState): string {
  if (end.kind === 'failed') return `ended with ${end.exitCode}`;
  // The unit is gone without a word: the machine was restarted, or somebody removed it.
  return end.kind === 'none' ? 'left no result' : end.kind;
}

function failed(
  { code, message }: NonNullable<SwitchRecord['failure']>,
  outcome: string,
): BilletError {
  return new BilletError(code, `${message}; ${outcome}`, {
    hint:
      code === 'NIX_ACTIVATION_TIMEOUT'
        ? 'look what it waits for: journalctl -u "billet-nixos-switch-*"; a longer activationTimeoutSeconds gives it more time'
        : 'on the node: journalctl -u "billet-nixos-switch-*"; 4 is a unit that did not start, 100 a system that needs a boot (activation: boot)',
  });
}
