// The codes of what happens to modules: signatures, content, stores, mounts. Rows of the error table
// (error-codes.ts), which is where they are read; no logic.

export const MODULE_CODES = {
  COMPOSEFS_FORMAT: {
    status: 422,
    retry: false,
    meaning: 'a composefs format that Billet does not read',
  },
  DIGEST_MISMATCH: {
    status: 422,
    retry: false,
    meaning: 'content that is not what its digest says',
  },
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
  MERGE_CONFLICT: {
    status: 422,
    retry: false,
    meaning: 'two modules ship different files at one path',
  },
  MODULE_INVALID: { status: 422, retry: false, meaning: 'an image without valid module labels' },
  MOUNT_FAILED: { status: 500, retry: true, meaning: 'the kernel refused a mount' },
  OCI_INVALID: {
    status: 422,
    retry: false,
    meaning: 'a manifest, index or config that is not OCI',
  },
  PASSPHRASE_WRONG: {
    status: 403,
    retry: false,
    meaning: 'a backup that this passphrase does not open',
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
  STORE_CORRUPT: { status: 500, retry: false, meaning: 'a record that no version of Billet wrote' },
  TAR_INVALID: { status: 422, retry: false, meaning: 'a layer that is not a valid tar stream' },
  UNIT_FAILED: {
    status: 500,
    retry: true,
    meaning: 'a systemd unit did not reach the wanted state',
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
} as const;
