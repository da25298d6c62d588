// The one table of error codes. `docs/wire.md` lists the same table; the class that carries them is in
// errors.ts.

import { IMAGE_CODES } from './image-error-codes.ts';
import { INSTALL_CODES } from './install-error-codes.ts';
import { MODULE_CODES } from './module-error-codes.ts';
import { NIX_CODES } from './nix-error-codes.ts';
import { SLOT_CODES } from './slot-error-codes.ts';
import { SMOKE_CODES } from './smoke-error-codes.ts';

/** Adding a code is an API change: agents match on it. Never rename, never reuse. */
export const CODES = {
  ARGUMENT_INVALID: {
    status: 400,
    retry: false,
    meaning: 'a command line that cannot be understood',
  },
  BACKUP_INVALID: { status: 422, retry: false, meaning: 'a backup that is damaged or cut short' },
  BODY_INVALID: {
    status: 400,
    retry: false,
    meaning: 'a body, path or query that does not fit its schema',
  },
  BODY_TOO_LARGE: { status: 413, retry: false, meaning: 'a body over the limit of its route' },
  BOOT_NETWORK_INVALID: {
    status: 500,
    retry: false,
    meaning: 'network words of the kernel command line that cannot be followed',
  },
  BULK_LIMIT: { status: 422, retry: false, meaning: 'more in one call than a call may ask for' },
  CA_INVALID: {
    status: 500,
    retry: false,
    meaning: 'the CA key or certificate in the state directory cannot be used',
  },
  CA_PIN_MISMATCH: {
    status: 403,
    retry: false,
    meaning: 'the coordinator shows another CA than the one pinned at boot',
  },
  CERTIFICATE_EXPIRED: { status: 401, retry: false, meaning: 'a node certificate past its end' },
  CERTIFICATE_INVALID: {
    status: 401,
    retry: false,
    meaning: 'a client certificate that this CA did not issue to a node',
  },
  CERTIFICATE_REQUIRED: {
    status: 401,
    retry: false,
    meaning: 'a node route was called without a node certificate',
  },
  CERTIFICATE_REVOKED: {
    status: 401,
    retry: false,
    meaning: 'a node certificate that was revoked',
  },
  CLAIM_DENIED: {
    status: 403,
    retry: false,
    meaning: 'an operator denied the claim of this machine',
  },
  CLAIM_UNKNOWN: { status: 404, retry: false, meaning: 'no such claim, or it has run out' },
  CLASS_FIXED: {
    status: 409,
    retry: false,
    meaning: 'the lifecycle class of a node that has had an instance',
  },
  COMMAND_FAILED: {
    status: 500,
    retry: true,
    meaning: 'a program that was started ended with an error',
  },
  COMPACTED: {
    status: 410,
    retry: false,
    meaning: 'a watch from a revision whose history is gone',
  },
  CONFIG_INVALID: {
    status: 500,
    retry: false,
    meaning: 'a configuration file that does not fit its schema',
  },
  CONFLICT: {
    status: 409,
    retry: false,
    meaning: 'the record exists, or changed under the caller',
  },
  CONTENDED: { status: 503, retry: true, meaning: 'a record changed too often under one writer' },
  CSR_REFUSED: {
    status: 403,
    retry: false,
    meaning: 'a certificate request that the policy does not allow',
  },
  DESIRED_OLDER: {
    status: 409,
    retry: true,
    meaning: 'the coordinator answers with an older desired state than the node has',
  },
  DOCUMENT_INVALID: { status: 400, retry: false, meaning: 'a document that cannot be read' },
  DRAIN_INCOMPLETE: {
    status: 409,
    retry: false,
    meaning: 'something on the node would not go in the time that a drain had',
  },
  DRAIN_REQUIRED: {
    status: 409,
    retry: false,
    meaning: 'ending what runs and was not drained, without force',
  },
  FORBIDDEN: {
    status: 403,
    retry: false,
    meaning: 'the caller has not the role that the route asks for',
  },
  IDENTIFIER_UNUSABLE: {
    status: 422,
    retry: false,
    meaning: 'an identifier that thousands of machines have: it tells none from another',
  },
  IDENTITY_MISSING: { status: 500, retry: true, meaning: 'no strategy found who this machine is' },
  INSTANCE_AHEAD: {
    status: 409,
    retry: true,
    meaning: 'a node that was newer than the restored backup, and has nothing to keep',
  },
  INTERNAL: { status: 500, retry: true, meaning: 'a defect in Billet' },
  IN_USE: { status: 409, retry: false, meaning: 'a record that others still name' },
  LEASE_LOST: { status: 409, retry: false, meaning: 'the lease has run out or was taken over' },
  LINK_DOWN: { status: 503, retry: true, meaning: 'the coordinator does not answer' },
  METHOD_NOT_ALLOWED: { status: 405, retry: false, meaning: 'a path that has other methods' },
  METADATA_FAILED: { status: 502, retry: true, meaning: 'a cloud metadata service that fails' },
  NETBOOT_IMAGE_MISSING: {
    status: 409,
    retry: false,
    meaning: 'no published boot image for the machine to boot',
  },
  NOT_FOUND: { status: 404, retry: false, meaning: 'no such record' },
  NTP_FAILED: {
    status: 502,
    retry: true,
    meaning: 'no time server gave a time that can be believed',
  },
  POOL_EMPTY: {
    status: 409,
    retry: true,
    meaning: 'no instance of the pool is ready and fits the node',
  },
  PROVIDER_DISABLED: { status: 409, retry: false, meaning: 'a provider that is switched off here' },
  PROVIDER_FAILED: {
    status: 502,
    retry: true,
    meaning: 'a provider that did not do what was asked',
  },
  PROVIDER_QUOTA: { status: 409, retry: true, meaning: 'more machines than the provider may make' },
  PROVIDER_TIMEOUT: { status: 504, retry: true, meaning: 'a provider that did not answer in time' },
  REFERENCE_INVALID: {
    status: 422,
    retry: false,
    meaning: 'a named record that is missing or unfit',
  },
  RESTORE_UNFINISHED: {
    status: 500,
    retry: false,
    meaning: 'a restore into an empty state directory was cut short',
  },
  STATE_CORRUPT: {
    status: 500,
    retry: false,
    meaning: 'a state file of the agent that is not as an agent wrote it',
  },
  STATE_PRESENT: {
    status: 409,
    retry: false,
    meaning: 'a restore into a state directory that is not empty',
  },
  STORE_FAILED: {
    status: 500,
    retry: true,
    meaning: 'the storage under the store failed or is full',
  },
  STORE_FULL: { status: 507, retry: true, meaning: 'no space left for what is to be stored' },
  STORE_LIMIT: {
    status: 422,
    retry: false,
    meaning: 'a key, value or commit over the limits of the store',
  },
  STORE_LOCKED: {
    status: 500,
    retry: true,
    meaning: 'another coordinator has the store file open',
  },
  STORE_NEWER: {
    status: 500,
    retry: false,
    meaning: 'a store or record that a newer Billet wrote',
  },
  TASK_FAILED: { status: 500, retry: false, meaning: 'a task ran and did not reach its end' },
  TASK_KIND_UNKNOWN: {
    status: 422,
    retry: false,
    meaning: 'a task kind that this version does not know',
  },
  TIMEOUT: { status: 504, retry: true, meaning: 'no answer within the limit' },
  TOKEN_EXPIRED: { status: 401, retry: false, meaning: 'a bootstrap token past its end' },
  TOKEN_INVALID: { status: 401, retry: false, meaning: 'no such token' },
  TOKEN_USED: { status: 409, retry: false, meaning: 'a bootstrap token that another key has used' },
  TOO_MANY_REQUESTS: { status: 429, retry: true, meaning: 'over the rate limit of the route' },
  UNAUTHENTICATED: { status: 401, retry: false, meaning: 'no credential was given' },
  UNAVAILABLE: { status: 503, retry: true, meaning: 'the coordinator is starting or stopping' },
  UNSUPPORTED: {
    status: 501,
    retry: false,
    meaning: 'this kernel or machine cannot do what was asked',
  },
  ...INSTALL_CODES,
  ...IMAGE_CODES,
  ...MODULE_CODES,
  ...NIX_CODES,
  ...SLOT_CODES,
  ...SMOKE_CODES,
} as const satisfies Record<string, { status: number; retry: boolean; meaning: string }>;
