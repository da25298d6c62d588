// The desired state of an instance as bytes: what its node comes to, in a DSSE envelope without
// signatures. Decides nothing and stores nothing.

import { DESIRED_TYPE, Desired, type Envelope } from '#shared/schema/desired.ts';
import type { InstanceId, NodeName } from '#shared/schema/ids.ts';
import type { InstallOrder } from '#shared/schema/install-plan.ts';
import type { Derived } from '#shared/schema/records.ts';

/** Stored and sent as it is made here, byte for byte, so that it can be signed later. */
export function desiredEnvelope(wanted: {
  readonly history: string;
  readonly instance: InstanceId;
  readonly node: NodeName;
  readonly generation: number;
  readonly derived: Derived;
  readonly install: InstallOrder | null;
}): Envelope {
  const { derived, ...ids } = wanted;
  const desired: Desired = Desired.parse({
    format: 1,
    ...ids,
    bootImage: derived.bootImage,
    modules: derived.modules,
    closure: derived.closure,
    // Nothing here has merged the modules; the node compares only what was computed.
    systemImage: null,
    settings: derived.settings,
  });
  return {
    payloadType: DESIRED_TYPE,
    payload: Buffer.from(JSON.stringify(desired)).toString('base64'),
    signatures: [],
  };
}
