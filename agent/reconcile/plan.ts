// Decides what has to be done; never acts. Same inputs, same steps.

import type { Digest } from '#shared/digest.ts';
import type { Desired } from '#shared/schema/desired.ts';
import type { ModuleRef } from '#shared/schema/module.ts';
import type { Settings } from '#shared/schema/settings.ts';
import { closureSteps } from '../nix/plan.ts';
import { keepSteps, stageSteps } from './slot-steps.ts';
import type { ModuleSettings, Step } from './steps.ts';
import { stopOrder } from './stop-order.ts';
import type { AttachedService, Observed, SystemSet, Wanted } from './world.ts';

/** Steps that turn `observed` into `wanted`, in run order. Empty means converged. */
export function plan(wanted: Wanted, observed: Observed): Step[] {
  // Also where nothing can be pulled: a drain waits for no download.
  if (wanted.held === 'all') return detachSteps(observed, observed.services);
  const { desired, held } = wanted;
  const services = desired.modules.filter(({ kind }) => kind === 'service');
  const unfinished = new Set<string>(observed.unfinished);
  const known = observed.services.filter(({ module }) => !unfinished.has(module.name));
  const attached = new Map(known.map((each) => [each.module.name, each]));
  const images = new Map(services.map(({ name, image }) => [name, image]));
  const isKept = ({ name, image }: ModuleRef) => images.get(name) === image;
  const sameImage = (module: ModuleRef) => attached.get(module.name)?.module.image === module.image;
  const settingsOf = (module: ModuleRef): ModuleSettings =>
    desired.settings.modules?.[module.name] ?? {};

  const wantedNames = new Set(services.map(({ name }) => name));
  const unwanted = known.filter(({ module }) => !wantedNames.has(module.name));
  const isHeld = held === 'new';
  const replaced = known.filter(
    ({ module }) => !isHeld && wantedNames.has(module.name) && !isKept(module),
  );
  const fresh = services.filter((module) => !sameImage(module));
  const changed = services.filter(
    (module) =>
      sameImage(module) && !isCurrent(attached.get(module.name), module, settingsOf(module)),
  );

  const changes: Step[] = [
    // What is unfinished starts over from nothing, wanted or not.
    ...detachSteps(observed, [...unwanted, ...replaced]),
    ...(isHeld ? [] : fresh).map(
      (module): Step => ({ kind: 'attach-service', module, settings: settingsOf(module) }),
    ),
    ...(isHeld ? [] : changed).map(
      (module): Step => ({ kind: 'reattach-service', module, settings: settingsOf(module) }),
    ),
  ];
  const system = stageSteps(desired, observed.slots, systemSteps(desired, observed));
  const nixos = closureSteps({ ...desired, ...wanted }, observed.nix);
  const nixosOf = (kind: Step['kind']) => nixos.filter((step) => step.kind === kind);
  // What a life that died has begun is ended also where nothing new may start.
  const mayActivate = !isHeld || observed.nix?.unfinished !== null;
  const steps: Step[] = [
    // Everything is here and verified before anything stops: a failed download costs no uptime.
    ...pullSteps(wanted, observed),
    ...nixosOf('pull-closure'),
    ...([...system, ...changes].some(isNew) ? [checkStep(desired, observed)] : []),
    ...system,
    ...(mayActivate ? nixosOf('activate-closure') : []),
    ...settingsSteps(desired, observed),
    ...changes,
  ];
  if (steps.length > 0) return steps;
  // Last of all, so that everything else of the generation is in its place.
  if (wanted.leave && observed.staged?.generation === desired.generation)
    return [{ kind: 'restart-machine', generation: desired.generation }];
  const runs = sameSystem(systemSetOf(desired), observed.booted);
  const keep = runs ? keepSteps(wanted, observed.slots) : [];
  if (keep.length > 0) return keep;
  return wanted.settled ? [...nixosOf('collect-closures'), ...garbageSteps(wanted, observed)] : [];
}

/** Of these services, and of all that is unfinished. */
function detachSteps(observed: Observed, services: readonly AttachedService[]): Step[] {
  const known = services.map(({ module, requires }) => ({ name: module.name, requires }));
  const names = new Set(known.map(({ name }) => name));
  const unfinished = observed.unfinished.filter((name) => !names.has(name));
  const order = stopOrder(known);
  return [...unfinished, ...order].map((name): Step => ({ kind: 'detach-service', name }));
}

/** A text that is equal for equal settings, whatever the order of their keys. */
export function settingsKey(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(settingsKey).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null';
  const entries = Object.entries(value).filter(([, each]) => each !== undefined);
  const fields = entries.sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${fields.map(([key, each]) => `${JSON.stringify(key)}:${settingsKey(each)}`).join(',')}}`;
}

/** What the agent itself applies; the part of each module goes to its services. */
export function nodeSettings({ modules: _, ...rest }: Settings): Settings {
  return rest;
}

export function systemSetOf(desired: Desired): SystemSet {
  const system = desired.modules.filter(({ kind }) => kind === 'system');
  return {
    bootImage: desired.bootImage?.manifest ?? null,
    manifests: system.map(({ manifest }) => manifest).sort(),
  };
}

/** A boot image of null leaves the choice to whoever boots the machine, or is not known. */
export function sameSystem(wanted: SystemSet, other: SystemSet | null): boolean {
  return (
    other !== null &&
    (wanted.bootImage === null ||
      other.bootImage === null ||
      wanted.bootImage === other.bootImage) &&
    settingsKey(wanted.manifests) === settingsKey([...other.manifests].sort())
  );
}

/** Outside of a system image only services can be run, so only they are pulled. */
function usableModules({ modules }: Desired, { booted }: Observed): ModuleRef[] {
  return modules.filter(({ kind }) => kind === 'service' || booted !== null);
}

/** A store without room is cleared first of what no generation worth keeping names, good or not. */
function pullSteps(wanted: Wanted, observed: Observed): Step[] {
  const held = new Set(observed.held);
  const usable = usableModules(wanted.desired, observed);
  const missing = usable.filter(({ manifest }) => !held.has(manifest));
  const clear = observed.full && missing.length > 0;
  return [
    ...(clear ? garbageSteps({ ...wanted, sweep: true }, observed) : []),
    ...missing.map((module): Step => ({ kind: 'pull-module', module })),
  ];
}

/** Going back to what runs needs no check, and a slot is no module. */
const isNew = ({ kind }: Step): boolean => kind !== 'unstage-system' && kind !== 'keep-slots';

const checkStep = (desired: Desired, observed: Observed): Step => ({
  kind: 'check-modules',
  node: desired.node,
  present: desired.modules.map(({ name }) => name),
  modules: usableModules(desired, observed),
});

function systemSteps(desired: Desired, { booted, staged }: Observed): Step[] {
  if (booted === null) return [];
  const set = systemSetOf(desired);
  if (sameSystem(set, booted)) return staged === null ? [] : [{ kind: 'unstage-system' }];
  if (sameSystem(set, staged) && staged?.generation === desired.generation) return [];
  return [
    {
      kind: 'stage-system',
      generation: desired.generation,
      modules: desired.modules.filter(({ kind }) => kind === 'system'),
      bootImage: set.bootImage,
      kernelRelease: desired.bootImage?.kernelRelease ?? null,
      expected: desired.systemImage,
    },
  ];
}

function settingsSteps(desired: Desired, observed: Observed): Step[] {
  // The settings of a system that is not Billet's are its owner's.
  if (observed.booted === null) return [];
  const settings = nodeSettings(desired.settings);
  return settingsKey(settings) === observed.settings ? [] : [{ kind: 'write-settings', settings }];
}

function isCurrent(
  attached: AttachedService | undefined,
  module: ModuleRef,
  settings: ModuleSettings,
): boolean {
  return (
    attached?.healthy === true &&
    attached.module.manifest === module.manifest &&
    attached.settings === settingsKey(settings)
  );
}

function garbageSteps({ desired, keep, sweep }: Wanted, observed: Observed): Step[] {
  const { booted, staged, stored } = observed;
  const refs = [...desired.modules, ...keep, ...observed.services.map(({ module }) => module)];
  const modules = new Set<Digest>([
    ...refs.map(({ manifest }) => manifest),
    ...(booted?.manifests ?? []),
    ...(staged?.manifests ?? []),
  ]);
  if (!sweep && stored.every((manifest) => modules.has(manifest))) return [];
  const system = [booted, staged].flatMap((each) => each?.systemImage ?? []);
  const images = new Set([...refs.map(({ image }) => image), ...system]);
  return [{ kind: 'collect-garbage', modules: [...modules].sort(), images: [...images].sort() }];
}
