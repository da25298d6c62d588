// Names that become part of keys, paths and URLs. What comes from outside is parsed here first.

import { z } from 'zod';

/** A logical machine: a DNS label (RFC 1123 §2.1). */
export const NodeName = z
  .string()
  .regex(
    /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/,
    'a DNS label: lower-case letters, digits, dashes, at most 63',
  )
  .brand<'NodeName'>();
export type NodeName = z.infer<typeof NodeName>;

/** One life of a node. Given by the coordinator: `i-` and 16 characters of 0-9a-z. */
export const InstanceId = z
  .string()
  .regex(/^i-[0-9a-z]{16}$/, 'i- and 16 lower-case letters or digits')
  .brand<'InstanceId'>();
export type InstanceId = z.infer<typeof InstanceId>;

export const TaskId = z
  .string()
  .regex(/^t-[0-9a-z]{16}$/, 't- and 16 lower-case letters or digits')
  .brand<'TaskId'>();
export type TaskId = z.infer<typeof TaskId>;

/** Names a bootstrap token without being one. */
export const TokenId = z
  .string()
  .regex(/^k-[0-9a-z]{16}$/, 'k- and 16 lower-case letters or digits')
  .brand<'TokenId'>();
export type TokenId = z.infer<typeof TokenId>;

export const CredentialName = z
  .string()
  .regex(/^[a-z][a-z0-9-]{0,62}$/, 'lower-case letters, digits and dashes, at most 63')
  .brand<'CredentialName'>();
export type CredentialName = z.infer<typeof CredentialName>;

/** A platform, template, class, pool, region …: what operators name, and write in documents. */
export const ResourceName = z
  .string()
  .regex(
    /^[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?$/,
    'lower-case letters, digits, dots and dashes, at most 63',
  )
  .brand<'ResourceName'>();
export type ResourceName = z.infer<typeof ResourceName>;

/** X.509 serial number, lower-case hexadecimal without leading zeros or separators. */
export const Serial = z
  .string()
  .regex(/^[0-9a-f]{1,40}$/, 'a certificate serial in lower-case hexadecimal')
  .brand<'Serial'>();
export type Serial = z.infer<typeof Serial>;

/** Lower case, colons: 52:54:00:12:34:56. */
export const MacAddress = z
  .string()
  .toLowerCase()
  .regex(/^([0-9a-f]{2}:){5}[0-9a-f]{2}$/, 'six pairs of hexadecimal digits with colons');
export type MacAddress = z.infer<typeof MacAddress>;

/** RFC 3339 in UTC, as Date.prototype.toISOString writes it. */
export const Timestamp = z.iso.datetime();
export type Timestamp = z.infer<typeof Timestamp>;
