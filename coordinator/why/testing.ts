// Stories for tests: an instance that runs well, and what a test says is different. Imported by tests
// only.

import { Digest } from '#shared/digest.ts';
import { Heartbeat } from '#shared/schema/heartbeat.ts';
import { InstanceId, NodeName } from '#shared/schema/ids.ts';
import { ModuleName, type ModuleRef } from '#shared/schema/module.ts';
import type { Event } from '#shared/schema/records.ts';
import { isoOf } from './moment.ts';
import type { Story, StoryGeneration, StoryInstance } from './story.ts';

export const MINUTE = 60_000;
export const HOUR = 60 * MINUTE;
/** 2026-11-21T12:00:00Z. */
export const NOON = 1_795_262_400_000;
const ID = InstanceId.parse('i-0123456789abcdef');

export const manifestOf = (version: string): Digest =>
  Digest.parse(`sha256:${Buffer.from(version).toString('hex').padEnd(64, '0')}`);

export const moduleOf = (name: string, version: string): ModuleRef => ({
  ...{ name: ModuleName.parse(name), kind: 'service', version, repository: name },
  ...{ manifest: manifestOf(version), image: manifestOf(`${version}i`) },
});

export const generationOf = (
  generation: number,
  modules: readonly ModuleRef[],
  more: Partial<StoryGeneration> = {},
): StoryGeneration => ({ generation, modules, settings: {}, bootImage: null, ...more });

let revision = 0;
export const eventAt = (at: number, kind: string, details: Event['details'] = {}): Event => ({
  revision: ++revision,
  ...{ at: isoOf(at), actor: 'operator:eve', kind, subject: `instance/${ID}`, details },
  text: `${kind} happened`,
});

/** The node should be generation `generation` since `at`. */
export const changedAt = (at: number, generation: number): Event => ({
  ...eventAt(at, 'node.changed', { generation, because: 'template/edge' }),
  subject: 'node/web-1',
});

export const heartbeatAt = (at: number, fields: object = {}) => ({
  at,
  heartbeat: Heartbeat.parse({
    bootId: '11111111-1111-4111-8111-111111111111',
    ...{ agentVersion: '0.1.0', uptimeSeconds: 60, phase: 'ready', generation: 2 },
    ...fields,
  }),
});

export interface Different extends Partial<Omit<Story, 'instance'>> {
  readonly instance?: Partial<StoryInstance>;
}

export function storyOf({ instance = {}, ...more }: Different = {}): Story {
  return {
    ...{ now: NOON, lookbackMs: 24 * HOUR, events: [], signals: [], generations: [] },
    ...{ heartbeat: heartbeatAt(NOON - HOUR), elsewhere: new Map() },
    ...more,
    instance: {
      ...{ id: ID, node: NodeName.parse('web-1'), state: 'running', reason: '', rejected: [] },
      ...{ stateSince: NOON - 10 * HOUR, generation: 2, fault: null },
      ...{ connected: true, lastSeenAt: NOON },
      ...instance,
    },
  };
}
