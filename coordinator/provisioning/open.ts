// Wires providers and the loop that drives them into a coordinator.

import { join } from 'node:path';
import type { Clock } from '#shared/clock.ts';
import type { Authorities } from '../ca/authorities.ts';
import type { Register } from '../ca/register.ts';
import type { Revocations } from '../ca/revocation.ts';
import type { Config } from '../config.ts';
import type { Deps } from '../deps.ts';
import type { Log } from '../log.ts';
import { sweepEvery } from '../nodes/sweep.ts';
import { openProviders } from '../providers/open.ts';
import type { Providers } from '../providers/provider.ts';
import type { Records } from '../records.ts';
import { leftoverWatch } from './leftovers.ts';
import { provisioner } from './loop.ts';
import type { LossDeps } from './lost/watch.ts';
import { registryBootFiles } from './order.ts';

const LEFTOVERS_EVERY_MS = 5 * 60_000;
const BOOT_SCRIPT = '/boot/boot.ipxe';

export function openProvisioning(options: {
  readonly config: Config;
  readonly records: Records;
  readonly authority: Pick<Authorities, 'fingerprint'>;
  readonly clock: Clock;
  readonly log: Log;
  readonly register: Register;
  readonly revocations: Pick<Revocations, 'reached'>;
  /** When each instance was last seen, by any coordinator. */
  readonly seen: LossDeps['seen'];
  readonly url: () => string;
  /** Base URL of the boot side; null when it is off. */
  readonly bootUrl: () => string | null;
  readonly openProviders?: (() => Providers) | undefined;
}) {
  const { config, records, authority, register, revocations, clock, log, url, seen } = options;
  const { stateDir, name: holder } = config;
  const open = options.openProviders ?? (() => openProviders(stateDir, config.providers));
  const providers = open();
  const bootFiles = registryBootFiles(join(stateDir, 'registry'));
  const bootScriptUrl = () => {
    const base = options.bootUrl();
    return base === null ? null : `${base}${BOOT_SCRIPT}`;
  };
  const common = { records, authority, clock, log, url, bootScriptUrl, bootFiles, providers };
  const loop = provisioner({ ...common, register, revocations, seen, holder });
  const watch = leftoverWatch({ records, providers, clock });
  return {
    deps: { providers, bootFiles, provisioner: loop } satisfies Partial<Deps>,
    /** The work in the background, until `signal` aborts. */
    start: (signal: AbortSignal): readonly Promise<void>[] => [
      loop.run(signal),
      sweepEvery({ everyMs: LEFTOVERS_EVERY_MS, clock, log }, signal, () => watch(signal)),
    ],
  };
}
