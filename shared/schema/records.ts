// Nodes, instances, tokens, credentials and events as operators see them on the wire. What the
// coordinator stores is a different thing, with versions and migrations: coordinator/nodes/.

import { z } from 'zod';
import { Digest } from '../digest.ts';
import { LifecycleClass, PLACEMENT } from './class.ts';
import { BootImage } from './desired.ts';
import { Drain } from './drain.ts';
import { Facts } from './facts.ts';
import { Condition, Heartbeat } from './heartbeat.ts';
import {
  CredentialName,
  InstanceId,
  MacAddress,
  NodeName,
  ResourceName,
  Serial,
  Timestamp,
  TokenId,
} from './ids.ts';
import { InstallEventId, InstallPlan, WipeId } from './install-plan.ts';
import { InstallReport } from './install-report.ts';
import { ModuleName, ModuleRef } from './module.ts';
import { NixClosure } from './nix-closure.ts';
import { Machine, ProviderKind } from './provider.ts';
import { Labels } from './resource.ts';
import { Settings } from './settings.ts';

/** As a sticker or DMI has it. */
const MachineText = z
  .string()
  .trim()
  .regex(/^[\x20-\x7e]{1,64}$/, 'up to 64 printable characters');

/** What an operator writes. Strict. What it says itself goes before what its template says. */
export const NodeSpec = z.strictObject({
  class: ResourceName.nullable().default(null),
  pool: ResourceName.nullable().default(null),
  ...PLACEMENT,
  /** Null: as its class says, or else persistent. Fixed once its first instance exists. */
  lifecycleClass: LifecycleClass.nullable().default(null),
  /** Null: as its class says. */
  install: InstallPlan.nullable().default(null),
  /** Beside those of its template, or in the place of the one with the same name. */
  modules: z.array(ModuleRef.strict()).max(64).default([]),
  /** Modules of its template that it goes without. */
  withoutModules: z.array(ModuleName).max(64).default([]),
  /** A NixOS system: the node then has no system modules. Null: none. */
  closure: NixClosure.strict().nullable().default(null),
  /** Null: what its platform has published. */
  bootImage: BootImage.strict().nullable().default(null),
  /** `sshKeys`, for emergencies, come after those of its template; others replace what it says. */
  settings: Settings.default({}),
  /** By these its machine is known, which has no token: over the network, and when it phones home. */
  macs: z.array(MacAddress).max(64).default([]),
  /** SMBIOS system UUID, lower case. */
  dmiUuid: z.uuid().nullable().default(null),
  /** SMBIOS system serial number, and chassis asset tag; case and blanks don't count. */
  serial: MachineText.nullable().default(null),
  assetTag: MachineText.nullable().default(null),
  /**
   * Who lets such a machine in, where a boot is ordered: the coordinator, by the first identifier that
   * fits, or a person in each case: a network boot then gets no token, and asks to be claimed.
   */
  claimBy: z.enum(['identifier', 'person']).default('identifier'),
  labels: Labels,
  /** For people and programs; nothing here acts on it. */
  metadata: z.record(z.string().min(1).max(63), z.string().max(4096)).default({}),
});
export type NodeSpec = z.infer<typeof NodeSpec>;

/** What a node comes to: its template, class and pool, and its own spec over them. */
export const Derived = z.object({
  class: ResourceName.nullable(),
  template: ResourceName.nullable(),
  platform: ResourceName.nullable(),
  /** Whose boot image it is; null with one of its own, and while nothing is published. */
  publication: ResourceName.nullable(),
  region: ResourceName.nullable(),
  instanceType: ResourceName.nullable(),
  lifecycleClass: LifecycleClass,
  install: InstallPlan.nullable(),
  bootImage: BootImage.nullable(),
  modules: z.array(ModuleRef).max(64),
  closure: NixClosure.nullable().default(null),
  settings: Settings,
});
export type Derived = z.infer<typeof Derived>;

export const Node = z.object({
  name: NodeName,
  spec: NodeSpec,
  derived: Derived,
  /** Grows with each change of the spec, and of what its template says. */
  generation: z.int().positive(),
  instance: InstanceId.nullable(),
  /** The set of documents whose `billet apply` made it. */
  set: ResourceName.nullable(),
  createdAt: Timestamp,
  /** For If-Match. */
  revision: z.int().positive(),
});
export type Node = z.infer<typeof Node>;

export const InstanceState = z.enum([
  'pending',
  'provisioning',
  'installing',
  'bootstrapping',
  'running',
  'draining',
  'terminating',
  'terminated',
  'failed',
]);
export type InstanceState = z.infer<typeof InstanceState>;

/** What an instance was ordered to install, and the newest that its node said of it. */
export const InstanceInstall = z.object({
  event: InstallEventId,
  orderedAt: Timestamp,
  /** What the order says in the place of the plan's own. */
  wipeId: WipeId.nullable(),
  diskSerial: z.string().nullable(),
  /** Its node refused, or plans only, and waits for a person. */
  waits: z.boolean(),
  /** When its first step was reported. */
  startedAt: Timestamp.nullable(),
  /** When it was reported done; the next boots are from the disk. */
  doneAt: Timestamp.nullable(),
  /** Candidates only where it has a problem. Null before the first. */
  report: InstallReport.omit({ recoveryKey: true }).extend({ at: Timestamp }).nullable(),
});
export type InstanceInstall = z.infer<typeof InstanceInstall>;

export const Instance = z.object({
  id: InstanceId,
  /** While it waits in a warm pool no node has it, and it goes by its own id. */
  node: NodeName,
  /** In whose warm pool it waits; null once a node has it. */
  pool: ResourceName.nullable().default(null),
  provider: ProviderKind,
  lifecycleClass: LifecycleClass,
  state: InstanceState,
  reason: z.string(),
  createdAt: Timestamp,
  stateSince: Timestamp,
  /** The generation that it should be. */
  generation: z.int().positive(),
  confirmed: z.int().positive().nullable(),
  rejected: z.array(z.object({ generation: z.int().positive(), reason: z.string() })),
  /** Whether the next network boot gets a token. */
  bootOrdered: z.boolean(),
  /** Newer than the backup that was restored: it keeps what it has until it is accepted. */
  ahead: z
    .object({ generation: z.int().positive(), since: Timestamp, condition: Condition })
    .nullable()
    .default(null),
  facts: Facts.nullable(),
  /** The newest one. */
  heartbeat: Heartbeat.nullable(),
  lastSeenAt: Timestamp.nullable(),
  connected: z.boolean(),
  certificate: z.object({ serial: Serial, notAfter: Timestamp }).nullable(),
  /** Whether nothing was left running on it when its drain ended. */
  drained: z.boolean(),
  /** Null where none was ordered, or it was taken back. */
  drain: Drain.nullable().default(null),
  /** A machine that asked as this instance after its end, and was refused. */
  cameBack: z
    .object({ firstAt: Timestamp, lastAt: Timestamp, how: z.string() })
    .nullable()
    .default(null),
  /** When its provider takes the machine away, as far as it said so. */
  preemptedAt: Timestamp.nullable().default(null),
  /** At its provider; null where a person provides it. */
  machine: Machine.nullable(),
  /** Null: nothing was ordered to be installed on a disk of it. */
  install: InstanceInstall.nullable().default(null),
});
export type Instance = z.infer<typeof Instance>;

export const Token = z.object({
  id: TokenId,
  instance: InstanceId,
  createdAt: Timestamp,
  createdBy: z.string(),
  expiresAt: Timestamp,
  state: z.enum(['open', 'used', 'revoked', 'expired']),
});
export type Token = z.infer<typeof Token>;

export const Role = z.enum(['viewer', 'operator', 'admin']);
export type Role = z.infer<typeof Role>;

export const Credential = z.object({
  name: CredentialName,
  role: Role,
  createdAt: Timestamp,
  createdBy: z.string(),
});
export type Credential = z.infer<typeof Credential>;

/** The certificate authorities, and who a rotation waits for. */
export const CaState = z.object({
  /** The one that issues first; another one while the CA is rotated. */
  authorities: z.array(
    z.object({
      /** SHA-256 of the certificate's DER: what machines pin. */
      fingerprint: Digest,
      state: z.enum(['issuing', 'previous']),
      pem: z.string(),
      subject: z.string(),
      notBefore: Timestamp,
      notAfter: Timestamp,
    }),
  ),
  /** When the first of them began to issue. */
  since: Timestamp,
  /** How many instances depend on the previous one; retiring it cuts them off. */
  waitingCount: z.int().nonnegative(),
  /** The first 100 of them. */
  waiting: z.array(
    z.object({ instance: InstanceId, node: NodeName, lastSeenAt: Timestamp.nullable() }),
  ),
});
export type CaState = z.infer<typeof CaState>;

/** Something that happened: who, what, and the store's revision of the commit that did it. */
export const Event = z.object({
  revision: z.int().positive(),
  at: Timestamp,
  /** `node:i-…`, `operator:name`, `coordinator`. */
  actor: z.string().max(128),
  /** Dotted, e.g. instance.enrolled. */
  kind: z.string().regex(/^[a-z]+(\.[a-z_]+)+$/),
  /** `instance/i-…`, `node/web-1`, `task/t-…` */
  subject: z.string().max(256),
  text: z.string().max(1024),
  details: z.record(z.string(), z.json()).default({}),
});
export type Event = z.infer<typeof Event>;
