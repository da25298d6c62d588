// What an identity strategy is: one way in which a machine may be told who it is. Types only.

import type { CloudMachine } from '#shared/schema/facts.ts';
import type { IDENTITY_KEYS } from '#shared/schema/identity.ts';

export type IdentityKey = (typeof IDENTITY_KEYS)[number];

/** Texts as the source gave them, not yet checked. */
export type IdentityValues = Partial<Record<IdentityKey, string>>;

export interface IdentityStrategy {
  /** For messages and the marker: `cmdline`, `fw-cfg` … */
  readonly name: string;
  /** Where a person would put the values, for the hint. */
  readonly place: string;
  /**
   * Says whom to trust, and never who the machine is: completes a source that says only the latter.
   */
  readonly isAnchor?: true;
  /**
   * What this source says, or null when it says nothing of Billet. Asks the network only in
   * strategies that are made for it, and gives up when `signal` aborts. Throws CONFIG_INVALID when
   * the source speaks of Billet but cannot be understood, METADATA_FAILED when it does not answer.
   */
  read(signal: AbortSignal): Promise<IdentityValues | null>;
  /** What a cloud calls this machine; asked only once `read` found something. */
  machine?(signal: AbortSignal): Promise<CloudMachine | null>;
}
