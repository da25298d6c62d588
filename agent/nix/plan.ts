// What has to be done for a NixOS system to be the one that runs. Pure: same inputs, same steps.

import type { NixClosure, SystemPath } from '#shared/schema/nix-closure.ts';
import type { Activation } from './switch-record.ts';

export type ClosureStep =
  /** Get it from a cache and check every signature. Changes nothing that runs. */
  | { readonly kind: 'pull-closure'; readonly closure: NixClosure }
  /** Profile, activation, and back to the system before where that fails. */
  | { readonly kind: 'activate-closure'; readonly order: Activation }
  /** Forget generations of the profile, and what only they needed. */
  | { readonly kind: 'collect-closures'; readonly keep: SystemPath[] };

export interface ObservedNix {
  /** /run/current-system */
  readonly running: SystemPath | null;
  /** /run/booted-system */
  readonly booted: SystemPath | null;
  /** What the next boot takes up. */
  readonly profile: SystemPath | null;
  /** Of the system profile. */
  readonly generations: readonly SystemPath[];
  /** Whether the wanted system is here whole, each path with a signature that counts. */
  readonly held: boolean;
  /** The system of the last good generation, or the one that was there before the first. */
  readonly lastGood: SystemPath | null;
  /** An activation that a life of the agent began, and none has ended. */
  readonly unfinished: Activation | null;
}

export interface WantedNix {
  readonly generation: number;
  readonly closure: NixClosure | null;
  /** It failed here, and there is no other generation to go back to. */
  readonly rejected: boolean;
  /** It is good, so that what it replaced may go. */
  readonly settled: boolean;
}

/** `observed` is null where there is no NixOS: a closure can then not be had, and its pull says so. */
export function closureSteps(wanted: WantedNix, observed: ObservedNix | null): ClosureStep[] {
  const { closure } = wanted;
  // Also where another generation, or none, is wanted by now: half an activation is no system.
  const unfinished = observed?.unfinished ?? null;
  if (unfinished !== null) return [{ kind: 'activate-closure', order: unfinished }];
  // Whose system it is without one is its owner's affair.
  if (closure === null) return [];
  if (observed === null) return [{ kind: 'pull-closure', closure }];
  if (wanted.rejected) return backSteps(wanted.generation, closure, observed);
  const steps: ClosureStep[] = [
    ...(observed.held ? [] : [{ kind: 'pull-closure', closure } as const]),
    ...(isActive(closure, observed) ? [] : [activation(wanted.generation, closure)]),
  ];
  if (steps.length > 0) return steps;
  return wanted.settled ? garbageSteps(closure, observed) : [];
}

/** It is what runs, or what the next boot takes up, as its activation asks. */
export function isActive(closure: NixClosure, { running, profile }: ObservedNix): boolean {
  const { storePath } = closure;
  switch (closure.activation) {
    case 'switch':
      return running === storePath && profile === storePath;
    case 'boot':
      return profile === storePath;
    case 'test':
      return running === storePath;
  }
}

const activation = (
  generation: number,
  { storePath, activation: verb, activationTimeoutSeconds }: NixClosure,
): ClosureStep => ({
  kind: 'activate-closure',
  order: { generation, storePath, activation: verb, timeoutSeconds: activationTimeoutSeconds },
});

/** The system from before, in the place of one that was rejected. */
function backSteps(generation: number, closure: NixClosure, observed: ObservedNix): ClosureStep[] {
  const { lastGood, running, profile } = observed;
  if (lastGood === null || lastGood === closure.storePath) return [];
  if (running === lastGood && profile === lastGood) return [];
  const { activationTimeoutSeconds: timeoutSeconds } = closure;
  const order = { generation, storePath: lastGood, activation: 'switch', timeoutSeconds } as const;
  return [{ kind: 'activate-closure', order }];
}

function garbageSteps(closure: NixClosure, observed: ObservedNix): ClosureStep[] {
  const { running, booted, profile, lastGood, generations } = observed;
  const keep = new Set(
    [closure.storePath, running, booted, profile, lastGood].filter((path) => path !== null),
  );
  if (generations.every((path) => keep.has(path))) return [];
  return [{ kind: 'collect-closures', keep: [...keep].sort() }];
}
