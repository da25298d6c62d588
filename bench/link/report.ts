// What an agent of the bench reports: a node with five modules, converged, with two conditions, as
// such a node's agent words it. What moves from one heartbeat to the next moves here too.

import { Heartbeat } from '#shared/schema/heartbeat.ts';

const digest = (hex: string) => `sha256:${hex.repeat(64)}`;

const MODULES = [
  { name: 'base', version: '13.1.0', state: 'merged' },
  { name: 'kernel-modules', version: '6.12.48', state: 'merged' },
  { name: 'tools', version: '2.4.1', state: 'merged' },
  { name: 'web', version: '1.26.3', state: 'attached' },
  { name: 'metrics', version: '0.9.2', state: 'attached' },
].map((module, index) => ({
  ...module,
  manifest: digest(`${index}`),
  image: digest(`${index + 5}`),
}));

const CONDITIONS = [
  {
    code: 'BOOT_UNVERIFIED',
    text: 'firmware did not verify the boot image: Secure Boot is off',
    hint: 'switch Secure Boot on and boot a signed image; docs/security.md has the reasons',
  },
  {
    code: 'STORE_IN_MEMORY',
    text: 'the store is in memory: every boot pulls all modules again',
    hint: 'give the machine a disk labelled billet-persist',
  },
];

/** Of the heartbeat number `beat` of the agent number `agent`. */
export const reportOf = (agent: number, beat: number): Heartbeat => {
  const uptimeSeconds = 3_600 + beat * 30 + (agent % 30);
  const bootId = `${agent.toString(16).padStart(8, '0')}-1111-4111-8111-111111111111`;
  return {
    ...FIXED,
    bootId,
    uptimeSeconds,
    lastReconcile: { at: REPORTED_AT, outcome: 'converged', steps: 0 },
    load1: (beat % 97) / 32,
    memoryAvailableBytes: 1_400_000_000 + ((beat * 4_096 * 37) % 200_000_000),
  };
};

const REPORTED_AT = '2026-11-21T12:00:00.000Z';

const FIXED = Heartbeat.parse({
  bootId: '11111111-1111-4111-8111-111111111111',
  agentVersion: '0.1.0',
  phase: 'ready',
  generation: 1,
  systemImage: digest('a'),
  modules: MODULES,
  conditions: CONDITIONS,
  uptimeSeconds: 0,
  memoryTotalBytes: 2_147_483_648,
});
