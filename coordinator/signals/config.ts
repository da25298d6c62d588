// The part of the coordinator's configuration that sensors and signals follow. A schema only; what a
// class says of its nodes goes before the policies here.

import { z } from 'zod';
import { SignalPolicy } from '#shared/schema/signal.ts';
import { POLICIES } from './policy.ts';

export const SignalsConfig = z.strictObject({
  /** Between two looks of the sensors. */
  everySeconds: z.int().min(1).max(3600).default(60),
  /** Over several heartbeats, so that a lost one is nothing. */
  silentAfterSeconds: z.int().min(2).max(86_400).default(300),
  /** How long a node may take to run what it should, when it has nothing to pull. */
  driftAfterSeconds: z.int().min(0).max(86_400).default(120),
  policies: z
    .strictObject({
      silent: SignalPolicy.default(POLICIES.silent),
      drift: SignalPolicy.default(POLICIES.drift),
      stuck: SignalPolicy.default(POLICIES.stuck),
    })
    .prefault({}),
});
export type SignalsConfig = z.infer<typeof SignalsConfig>;
