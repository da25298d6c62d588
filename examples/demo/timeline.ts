// What a boot looked like: markers with the second they came, as stages with durations. Pure.

import type { Marker, MarkerRecord } from '#shared/markers.ts';

export interface Stage {
  readonly title: string;
  /** Seconds from power-on to its end. */
  readonly atSeconds: number;
  readonly seconds: number;
  readonly detail: string;
}

export interface Progress {
  readonly doneBytes: number;
  readonly totalBytes: number;
}

export interface Timeline {
  readonly stages: readonly Stage[];
  readonly progress: Progress | null;
  /** The newest failure that no later stage has made good. */
  readonly failure: {
    readonly stage: string;
    readonly code: string;
    readonly message: string;
    readonly hint: string;
  } | null;
  readonly ready: boolean;
}

export const emptyTimeline: Timeline = { stages: [], progress: null, failure: null, ready: false };

/** Stages in words for a person, with the fields of the marker that tell them something. */
const TITLES: Partial<Record<Marker, { title: string; fields: readonly string[] }>> = {
  'boot-start': { title: 'Firmware, iPXE, kernel, initramfs', fields: [] },
  'network-up': { title: 'Network up', fields: ['address', 'interface'] },
  identity: { title: 'Identity found', fields: ['source'] },
  'store-ready': { title: 'Object store ready', fields: ['data'] },
  enrolled: { title: 'Enrolled, certificate issued', fields: ['how'] },
  desired: { title: 'Desired state fetched', fields: [] },
  pulled: { title: 'System modules pulled and sealed', fields: ['modules', 'bytes'] },
  verified: { title: 'Signatures and digests verified', fields: ['policy'] },
  composed: { title: 'System image composed', fields: ['digest'] },
  sealed: { title: 'fs-verity on for every file', fields: [] },
  mounted: { title: 'Root mounted', fields: ['verity'] },
  'switch-root': { title: 'Handed over to systemd', fields: ['generation'] },
  'agent-start': { title: 'systemd up, agent started', fields: ['version'] },
  attached: { title: 'Service module attached', fields: ['module'] },
  ready: { title: 'Node reports phase=ready', fields: ['generation'] },
};

/** The timeline after one more marker, `atSeconds` after power-on. */
export function advance(timeline: Timeline, marker: MarkerRecord, atSeconds: number): Timeline {
  const { fields } = marker;
  if (marker.failure)
    return {
      ...timeline,
      failure: {
        stage: marker.stage,
        code: fields.code ?? 'INTERNAL',
        message: fields.message ?? '',
        hint: fields.hint ?? '',
      },
    };
  if (marker.stage === 'pull-progress')
    return {
      ...timeline,
      progress: { doneBytes: Number(fields.done ?? 0), totalBytes: Number(fields.total ?? 0) },
    };

  const known = TITLES[marker.stage as Marker];
  if (!known) return timeline;
  const last = timeline.stages.at(-1);
  const stage: Stage = {
    title: known.title,
    atSeconds,
    seconds: atSeconds - (last?.atSeconds ?? 0),
    detail: known.fields.flatMap((name) => describe(name, fields[name])).join(' '),
  };
  return {
    stages: [...timeline.stages, stage],
    progress: null,
    failure: null,
    ready: timeline.ready || marker.stage === 'ready',
  };
}

function describe(name: string, value: string | undefined): string[] {
  if (value === undefined) return [];
  if (name === 'bytes') return [megabytes(Number(value))];
  if (name === 'digest') return [value.slice(0, 19)];
  if (['modules', 'objects', 'files'].includes(name)) return [`${value} ${name}`];
  if (name === 'generation') return [`generation ${value}`];
  if (name === 'verity') return [value === 'true' ? 'verity=require' : 'WITHOUT verity'];
  if (name === 'policy') return [`policy ${value}`];
  return [value];
}

export const megabytes = (bytes: number): string =>
  bytes < 1e6 ? `${Math.ceil(bytes / 1e3)} kB` : `${(bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0)} MB`;
