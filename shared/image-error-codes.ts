// The codes of making and checking boot images. Rows of the error table (error-codes.ts), which is where
// they are read; no logic.

export const IMAGE_CODES = {
  BOOT_IMAGE_INVALID: {
    status: 422,
    retry: false,
    meaning: 'a boot image without a name and sequence, or of another name than is wanted',
  },
  SECURE_BOOT_CERTIFICATE_EXPIRED: {
    status: 422,
    retry: false,
    meaning: 'a Secure Boot certificate outside its time of validity',
  },
  SECURE_BOOT_KEY_EXPOSED: {
    status: 403,
    retry: false,
    meaning: 'a Secure Boot key that others than its owner can read',
  },
  SECURE_BOOT_KEY_INVALID: {
    status: 422,
    retry: false,
    meaning:
      'a Secure Boot key or certificate that cannot be read, or is of a kind firmware does not know',
  },
  SECURE_BOOT_KEY_MISMATCH: {
    status: 422,
    retry: false,
    meaning: 'a Secure Boot certificate that is of another key',
  },
} as const;
