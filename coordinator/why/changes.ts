// What changed between two generations of an instance, as causes. Decides from a story.

import { isDeepStrictEqual } from 'node:util';
import type { Event } from '#shared/schema/records.ts';
import type { Cause, Evidence } from '#shared/schema/why.ts';
import { momentOf } from './moment.ts';
import type { Story, StoryGeneration } from './story.ts';

/** A cause that was not weighed yet. */
export interface Suspect extends Pick<Cause, 'kind' | 'what' | 'hint'> {
  /** Unix milliseconds. */
  readonly at: number;
  readonly evidence: readonly Evidence[];
  /** Of a change of a generation: which, and for a module its name and manifest. */
  readonly generation?: number;
  readonly module?: string;
  readonly manifest?: string;
  /** Error codes and other words that a failure may name. */
  readonly words?: readonly string[];
  /** It is what the failure itself quotes: near to it and named by it without being behind it. */
  readonly symptom?: true;
}

/** Each module, the boot image and the settings, as they changed from one generation to the next. */
export function generationSuspects(story: Story): readonly Suspect[] {
  const { generations, events, instance } = story;
  return generations.flatMap((next, index) => {
    const before = generations[index - 1];
    if (before === undefined) return [];
    const event = events.findLast(
      ({ kind, details }) => kind === 'node.changed' && details.generation === next.generation,
    );
    // Without its event it is older than what is looked at.
    if (event === undefined) return [];
    const at = momentOf(event.at);
    const evidence = [generationEvidence(before, next, event)];
    const shared = { at, evidence, generation: next.generation };
    const node = instance.node ?? 'NODE';
    return [
      ...moduleSuspects(before, next, node),
      ...bootSuspects(before, next, node),
      ...settingsSuspects(before, next, node),
    ].map((one) => ({ ...one, ...shared }));
  });
}

type Found = Omit<Suspect, 'at' | 'evidence' | 'generation'>;

function moduleSuspects(
  before: StoryGeneration,
  next: StoryGeneration,
  node: string,
): readonly Found[] {
  const added = next.modules.flatMap((module): Found[] => {
    const old = before.modules.find(({ name }) => name === module.name);
    if (old?.manifest === module.manifest) return [];
    const { name, version, manifest } = module;
    const was = old === undefined ? 'was added' : `${old.version} became`;
    const same =
      old?.version === version ? `, from ${short(old.manifest)} to ${short(manifest)}` : '';
    const back =
      old === undefined ? `--remove-module ${name}` : `--module ${old.repository}@${old.manifest}`;
    return [
      {
        kind: 'module',
        what: `module ${name}: ${was} ${version}${same}`,
        hint: `billet node set ${node} ${back} takes it back, where the node itself names it`,
        module: name,
        manifest,
      },
    ];
  });
  const gone = before.modules
    .filter(({ name }) => !next.modules.some((module) => module.name === name))
    .map(
      ({ name, version, repository, manifest }): Found => ({
        kind: 'module',
        what: `module ${name}: ${version} was removed`,
        hint: `billet node set ${node} --module ${repository}@${manifest} brings it back`,
        module: name,
      }),
    );
  return [...added, ...gone];
}

function bootSuspects(
  before: StoryGeneration,
  next: StoryGeneration,
  node: string,
): readonly Found[] {
  if (isDeepStrictEqual(before.bootImage, next.bootImage)) return [];
  const [was, is] = [before, next].map(({ bootImage }) => bootImage?.kernelRelease ?? 'none');
  const words = is === undefined ? [] : [is];
  return [
    {
      kind: 'boot_image',
      what:
        was === is
          ? `boot image: another one with the kernel ${is}`
          : `boot image: kernel ${was} became ${is}`,
      hint: `billet node show ${node} names its publication; billet publication list has the others`,
      words,
    },
  ];
}

function settingsSuspects(
  before: StoryGeneration,
  next: StoryGeneration,
  node: string,
): readonly Found[] {
  const [was, is]: Readonly<Record<string, unknown>>[] = [before.settings, next.settings];
  const changed = Object.keys({ ...was, ...is }).filter(
    (key) => !isDeepStrictEqual(was?.[key], is?.[key]),
  );
  if (changed.length === 0) return [];
  // Of modules: whose settings.
  const modules = changed.includes('modules')
    ? Object.keys({ ...before.settings.modules, ...next.settings.modules }).filter(
        (name) => !isDeepStrictEqual(moduleSettings(before, name), moduleSettings(next, name)),
      )
    : [];
  const what = [
    ...changed.filter((key) => key !== 'modules'),
    ...modules.map((name) => `of ${name}`),
  ];
  return [
    {
      kind: 'settings',
      what: `settings: ${what.join(', ')}`,
      hint: `billet node show ${node} --json has its settings; change them with billet node set or apply`,
      words: [...changed, ...modules],
    },
  ];
}

const moduleSettings = ({ settings }: StoryGeneration, name: string) =>
  Object.entries(settings.modules ?? {}).find(([key]) => key === name)?.[1];

function generationEvidence(
  before: StoryGeneration,
  next: StoryGeneration,
  { at, revision, actor, details }: Event,
): Evidence {
  const because = typeof details.because === 'string' ? `, by ${details.because}` : '';
  const text = `generation ${before.generation} became ${next.generation}${because}, by ${actor}`;
  return { at, source: `event ${revision}`, text };
}

const short = (digest: string) => digest.slice(0, 'sha256:'.length + 12);
