// The table of all benches, in the order in which they run. Data only: a new bench is a row here.
//
//   host/  one process on this machine: composing, ingest, pulling, digests, store
//   link/  agents and coordinator: heartbeats, handshakes, enrollments
//   simulate/  `billet simulate`: whole fleets of agents
//   signals/  the sensors over the store of a whole fleet
//   boot/  machines: from power-on to running

import type { Bench } from './bench.ts';
import { cold } from './boot/cold.ts';
import { floor } from './boot/floor.ts';
import { install } from './boot/install.ts';
import { medium } from './boot/medium.ts';
import { provision } from './boot/provision.ts';
import { warm } from './boot/warm.ts';
import { commits } from './host/commits.ts';
import { compose } from './host/compose.ts';
import { digest } from './host/digest.ts';
import { ingest } from './host/ingest.ts';
import { pull } from './host/pull.ts';
import { admissions } from './link/admissions.ts';
import { connected } from './link/connected.ts';
import { heartbeats } from './link/heartbeats.ts';
import { silent } from './signals/silent.ts';
import { simulate1000, simulate10000 } from './simulate/simulation.ts';

export const BENCHES: readonly Bench[] = [
  compose,
  digest,
  ingest,
  pull,
  commits,
  heartbeats,
  connected,
  admissions,
  simulate1000,
  simulate10000,
  silent,
  floor,
  cold,
  warm,
  provision,
  medium,
  install,
];

/** All of them without words; else those with one of the words in their name. */
export const chosenBenches = (words: readonly string[], full = false): readonly Bench[] =>
  BENCHES.filter(
    ({ name, onlyInFull }) =>
      (words.length === 0 || words.some((word) => name.includes(word))) &&
      (onlyInFull === undefined || full || words.includes(name)),
  );
