// What a way to a machine can do: be asked whether it is there, and start the machine from the medium.
// Interfaces only.

import type { Code } from '#shared/errors.ts';
import type { ConsoleSource } from '../chunks.ts';
import type { TransportName } from '../result.ts';

export interface Probe {
  readonly transport: TransportName;
  /** Everything that a run needs answers. */
  readonly available: boolean;
  /** One sentence: what is there, or what is in the way. */
  readonly why: string;
  /** What a person does next; empty where nothing is in the way. */
  readonly hint: string;
  readonly code: Code | null;
  /** What was found; never a secret. */
  readonly details: Readonly<Record<string, string | number | boolean | null>>;
}

export interface Medium {
  /** Absolute path of the ISO image; null when the BMC or the operator has it already. */
  readonly iso: string | null;
}

/** A machine of which somebody holds the console. Disposal takes back all that was done for it. */
export interface Attached extends AsyncDisposable {
  /** Null: this transport has none; a console has to be named. */
  readonly console: ConsoleSource | null;
  /** Boots the machine from the medium, once. Resolves when it was seen to be on. */
  boot(signal: AbortSignal): Promise<void>;
}

export interface Transport {
  readonly name: TransportName;
  /** Changes nothing. Never throws for what is not there. */
  probe(signal: AbortSignal): Promise<Probe>;
  attach(medium: Medium, signal: AbortSignal): Promise<Attached>;
}
