// What a machine prints on its way up, for each way it can start: which markers, after which others,
// and which may be missing. Data, over the table of shared/markers.ts; judges nothing.

import type { Marker } from '#shared/markers.ts';

export const FLOW_NAMES = ['netboot', 'iso-install', 'iso-diskless', 'disk'] as const;
export type FlowName = (typeof FLOW_NAMES)[number];

export interface Expectation {
  readonly stage: Marker;
  /** Stages of the same boot that come before it. Those of them that are required have to be there. */
  readonly after: readonly Marker[];
  /** A boot without it is as good. */
  readonly optional?: boolean;
  /** More than one line of it is as it should be. */
  readonly repeated?: boolean;
}

export interface BootFlow {
  readonly title: string;
  readonly stages: readonly Expectation[];
  /** The stage that this boot is there for: the next `boot-start` belongs to the next boot. */
  readonly ends: Marker;
}

export interface Flow {
  readonly name: FlowName;
  readonly title: string;
  readonly boots: readonly BootFlow[];
  /** How long all of it may take, without a --timeout. */
  readonly timeoutSeconds: number;
}

/** From the agent's first line to the desired state: three stages run beside each other. */
const KNOWN: readonly Expectation[] = [
  { stage: 'boot-start', after: [] },
  { stage: 'network-up', after: ['boot-start'], repeated: true },
  { stage: 'clock', after: ['boot-start'], optional: true, repeated: true },
  { stage: 'identity', after: ['boot-start'] },
  { stage: 'claim', after: ['identity'], optional: true, repeated: true },
  { stage: 'enrolled', after: ['identity'] },
  { stage: 'desired', after: ['enrolled'], repeated: true },
];

const STORE: Expectation = { stage: 'store-ready', after: ['boot-start'] };

/** From the desired state to a node that is ready. */
const RUNNING: readonly Expectation[] = [
  { stage: 'pull-progress', after: ['desired'], optional: true, repeated: true },
  { stage: 'pulled', after: ['desired', 'store-ready'], repeated: true },
  { stage: 'verified', after: ['pulled'], repeated: true },
  { stage: 'composed', after: ['verified'], repeated: true },
  { stage: 'sealed', after: ['composed'], repeated: true },
  { stage: 'mounted', after: ['sealed'], repeated: true },
  { stage: 'switch-root', after: ['mounted'] },
  { stage: 'agent-start', after: ['switch-root'], repeated: true },
  { stage: 'attached', after: ['agent-start'], optional: true, repeated: true },
  { stage: 'detached', after: ['agent-start'], optional: true, repeated: true },
  { stage: 'slot-written', after: ['agent-start'], optional: true },
  { stage: 'slot-good', after: ['agent-start'], optional: true },
  { stage: 'ready', after: ['agent-start'], repeated: true },
];

const INSTALLING: readonly Expectation[] = [
  { stage: 'install-plan', after: ['desired'], repeated: true },
  { stage: 'install-step', after: ['install-plan'], repeated: true },
  { stage: 'install-progress', after: ['install-plan'], optional: true, repeated: true },
  { stage: 'installed', after: ['install-step'] },
];

const optionally = (stages: readonly Expectation[], ...names: readonly Marker[]) =>
  stages.map((each) => (names.includes(each.stage) ? { ...each, optional: true } : each));

const FROM_NETWORK: BootFlow = {
  title: 'boot over the network',
  stages: [...KNOWN, STORE, ...RUNNING],
  ends: 'ready',
};

const FROM_MEDIUM: BootFlow = {
  title: 'boot from the medium, and install',
  stages: [...KNOWN, { ...STORE, optional: true }, ...INSTALLING],
  ends: 'installed',
};

/** A boot from disk needs neither network nor coordinator: what depends on them may be missing. */
const FROM_DISK: BootFlow = {
  title: 'boot from the disk',
  stages: [
    ...optionally(KNOWN, 'network-up', 'enrolled'),
    STORE,
    { stage: 'boot-slot', after: ['boot-start'] },
    ...RUNNING,
  ],
  ends: 'ready',
};

export const FLOWS: Readonly<Record<FlowName, Flow>> = {
  netboot: {
    name: 'netboot',
    title: 'from the network to ready',
    boots: [FROM_NETWORK],
    timeoutSeconds: 15 * 60,
  },
  'iso-install': {
    name: 'iso-install',
    title: 'from the ISO onto the disk, and from the disk to ready',
    boots: [FROM_MEDIUM, FROM_DISK],
    timeoutSeconds: 45 * 60,
  },
  'iso-diskless': {
    name: 'iso-diskless',
    title: 'from the ISO to ready, with nothing installed',
    boots: [{ ...FROM_NETWORK, title: 'boot from the medium' }],
    timeoutSeconds: 15 * 60,
  },
  disk: {
    name: 'disk',
    title: 'from the disk to ready',
    boots: [FROM_DISK],
    timeoutSeconds: 15 * 60,
  },
};
