// What route handlers may use: one object of small interfaces, made in main.ts.

import type { Clock } from '#shared/clock.ts';
import type { TrustDomain } from '#shared/spiffe.ts';
import type { FailureLimit } from './access/failure-limit.ts';
import type { BackupSource } from './backup/handlers.ts';
import type { Authorities } from './ca/authorities.ts';
import type { Register } from './ca/register.ts';
import type { Revocations } from './ca/revocation.ts';
import type { Rotation } from './ca/rotation.ts';
import type { Images } from './catalog/publications.ts';
import type { ClaimLimits } from './claims/limits.ts';
import type { InstallReports } from './installs/reports.ts';
import type { Live } from './live/live.ts';
import type { Log } from './log.ts';
import type { Comebacks } from './nodes/comebacks.ts';
import type { Providers } from './providers/provider.ts';
import type { Provisioner } from './provisioning/loop.ts';
import type { OrderDeps } from './provisioning/order.ts';
import type { Records } from './records.ts';

export interface Deps {
  readonly clock: Clock;
  readonly log: Log;
  readonly records: Records;
  /** What the registry has. */
  readonly images: Images;
  readonly authority: Authorities;
  readonly register: Register;
  readonly revocations: Revocations;
  readonly rotation: Rotation;
  readonly trustDomain: TrustDomain;
  readonly live: Live;
  readonly installs: InstallReports;
  readonly backup: BackupSource;
  readonly comebacks: Comebacks;
  readonly providers: Providers;
  readonly bootFiles: OrderDeps['bootFiles'];
  readonly provisioner: Pick<Provisioner, 'wake'>;
  /** Failed enrollments and credentials, by the caller's address. */
  readonly failures: FailureLimit;
  /** How fast claims may be asked for and codes be tried. */
  readonly claims: ClaimLimits;
  /** Base URL that nodes and operators use, without a slash at its end. */
  readonly url: () => string;
  /** Whether requests are served: not while starting or stopping. */
  readonly isReady: () => boolean;
}
