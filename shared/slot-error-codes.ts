// The codes of a machine that boots from its own disk: boot slots, the encrypted data disk, recovery
// keys. Rows of the error table (error-codes.ts), which is where they are read; no logic.

export const SLOT_CODES = {
  BOOT_SLOT_CORRUPT: {
    status: 500,
    retry: true,
    meaning: 'a boot slot that does not hold what was written to it',
  },
  BOOT_SLOT_FAILED: {
    status: 500,
    retry: true,
    meaning: 'a boot image that did not come up from its slot, or a slot that cannot be written',
  },
  PERSIST_LOCKED: {
    status: 500,
    retry: true,
    meaning: 'an encrypted data disk that the TPM does not open: its recovery key is needed',
  },
  RECOVERY_KEY_INVALID: {
    status: 422,
    retry: false,
    meaning: 'a recovery key, or a key to seal it to, that cannot be read',
  },
  RECOVERY_KEY_WRONG: {
    status: 403,
    retry: false,
    meaning: 'a recovery key that opens nothing, or that another key was sealed to',
  },
  TPM_MISSING: {
    status: 501,
    retry: false,
    meaning: 'no TPM 2.0, which an encrypted data disk is bound to',
  },
} as const;
