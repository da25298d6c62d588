// The one error class and the one table of codes. Code is for programs, message for logs, hint for
// the person on call. `docs/wire.md` lists the same table.

/** Adding a code is an API change: agents match on it. Never rename, never reuse. */
export const CODES = {
  ARGUMENT_INVALID: {
    status: 400,
    retry: false,
    meaning: 'a command line that cannot be understood',
  },
  BODY_INVALID: {
    status: 400,
    retry: false,
    meaning: 'a body, path or query that does not fit its schema',
  },
  BODY_TOO_LARGE: { status: 413, retry: false, meaning: 'a body over the limit of its route' },
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
  COMPOSEFS_FORMAT: {
    status: 422,
    retry: false,
    meaning: 'a composefs format that Billet does not read',
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
  DIGEST_MISMATCH: {
    status: 422,
    retry: false,
    meaning: 'content that is not what its digest says',
  },
  FORBIDDEN: {
    status: 403,
    retry: false,
    meaning: 'the caller has not the role that the route asks for',
  },
  IDENTITY_MISSING: { status: 500, retry: true, meaning: 'no strategy found who this machine is' },
  INTERNAL: { status: 500, retry: true, meaning: 'a defect in Billet' },
  JOURNAL_CORRUPT: {
    status: 500,
    retry: false,
    meaning: 'the agent journal holds what no agent wrote',
  },
  KERNEL_MISMATCH: {
    status: 422,
    retry: false,
    meaning: 'no /lib/modules for the kernel of the boot image',
  },
  LAYER_TOO_LARGE: {
    status: 422,
    retry: false,
    meaning: 'a layer that unpacks to more than was signed, or than is allowed',
  },
  LEASE_LOST: { status: 409, retry: false, meaning: 'the lease has run out or was taken over' },
  LINK_DOWN: { status: 503, retry: true, meaning: 'the coordinator does not answer' },
  MERGE_CONFLICT: {
    status: 422,
    retry: false,
    meaning: 'two modules ship different files at one path',
  },
  METHOD_NOT_ALLOWED: {
    status: 405,
    retry: false,
    meaning: 'a path that has other methods',
  },
  METADATA_FAILED: { status: 502, retry: true, meaning: 'a cloud metadata service that fails' },
  MODULE_INVALID: { status: 422, retry: false, meaning: 'an image without valid module labels' },
  MOUNT_FAILED: { status: 500, retry: true, meaning: 'the kernel refused a mount' },
  NOT_FOUND: { status: 404, retry: false, meaning: 'no such record' },
  OCI_INVALID: {
    status: 422,
    retry: false,
    meaning: 'a manifest, index or config that is not OCI',
  },
  PATH_ESCAPE: { status: 422, retry: false, meaning: 'a path that leaves its root' },
  POLICY_INVALID: {
    status: 422,
    retry: false,
    meaning: 'a trust policy that is empty or cannot be understood',
  },
  PROBE_FAILED: { status: 500, retry: true, meaning: 'a probe of a module does not pass' },
  REGISTRY_DENIED: { status: 403, retry: false, meaning: 'the registry refuses these credentials' },
  REGISTRY_FAILED: {
    status: 502,
    retry: true,
    meaning: 'the registry does not answer as the specification says',
  },
  SIGNATURE_INVALID: {
    status: 422,
    retry: false,
    meaning: 'a signature that does not verify, or is for something else',
  },
  SIGNATURE_MISSING: {
    status: 422,
    retry: false,
    meaning: 'no signature by a key that the policy names',
  },
  STATE_CORRUPT: {
    status: 500,
    retry: false,
    meaning: 'a state file of the agent that is not as an agent wrote it',
  },
  STORE_CORRUPT: { status: 500, retry: false, meaning: 'a record that no version of Billet wrote' },
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
  TAR_INVALID: { status: 422, retry: false, meaning: 'a layer that is not a valid tar stream' },
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
  UNIT_FAILED: {
    status: 500,
    retry: true,
    meaning: 'a systemd unit did not reach the wanted state',
  },
  UNSUPPORTED: {
    status: 501,
    retry: false,
    meaning: 'this kernel or machine cannot do what was asked',
  },
  VERITY_FAILED: {
    status: 500,
    retry: false,
    meaning: 'fs-verity refused or measured another digest',
  },
  VERSION_REFUSED: {
    status: 422,
    retry: false,
    meaning: 'a module older than the floor of the policy',
  },
} as const satisfies Record<string, { status: number; retry: boolean; meaning: string }>;

export type Code = keyof typeof CODES;

export interface ErrorOptions {
  /** What a person should run or change next. */
  readonly hint: string;
  readonly cause?: unknown;
  /** Values for programs; never secrets. */
  readonly details?: Readonly<Record<string, unknown>>;
}

export class BilletError extends Error {
  override readonly name = 'BilletError';
  readonly code: Code;
  readonly hint: string;
  readonly details: Readonly<Record<string, unknown>>;

  constructor(code: Code, message: string, options: ErrorOptions) {
    super(message, { cause: options.cause });
    this.code = code;
    this.hint = options.hint;
    this.details = options.details ?? {};
  }

  get status(): number {
    return CODES[this.code].status;
  }

  get retryable(): boolean {
    return CODES[this.code].retry;
  }
}
