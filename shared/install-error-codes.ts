// The codes of what keeps a machine from being installed. Rows of the error table (error-codes.ts),
// which is where they are read; no logic.

export const INSTALL_CODES = {
  INSTALL_DISK_AMBIGUOUS: {
    status: 422,
    retry: false,
    meaning: 'the disk selector of an install plan matches more than one disk',
  },
  INSTALL_DISK_FAILED: {
    status: 500,
    retry: true,
    meaning: 'the disk that is installed to answers with errors',
  },
  INSTALL_DISK_GONE: {
    status: 503,
    retry: true,
    meaning: 'the disk that is installed to went away in the middle',
  },
  INSTALL_DISK_HOLDS_DATA: {
    status: 409,
    retry: false,
    meaning: 'the disk of an install plan holds data that the plan does not give up',
  },
  INSTALL_DISK_IN_USE: {
    status: 409,
    retry: false,
    meaning: 'the disk of an install plan is mounted, or part of something that runs',
  },
  INSTALL_DISK_NONE: {
    status: 422,
    retry: false,
    meaning: 'the disk selector of an install plan matches no disk',
  },
  INSTALL_DISK_READ_ONLY: {
    status: 422,
    retry: false,
    meaning: 'the disk of an install plan cannot be written to',
  },
  INSTALL_DISK_TOO_SMALL: {
    status: 422,
    retry: false,
    meaning: 'the disk of an install plan is smaller than its profile needs',
  },
  INSTALL_DISKS_UNKNOWN: {
    status: 409,
    retry: false,
    meaning: 'a look at the disks of a machine that has told of none yet',
  },
  INSTALL_FIRMWARE: {
    status: 422,
    retry: false,
    meaning: 'a machine without UEFI: nothing can be installed that it would start',
  },
  INSTALL_IMAGE_INCOMPLETE: {
    status: 422,
    retry: false,
    meaning: 'a boot image without the unified kernel image or the loader that a disk needs',
  },
  INSTALL_PLAN_CHANGED: {
    status: 409,
    retry: false,
    meaning: 'another plan under an install event that has begun on a disk',
  },
  INSTALL_PLAN_MISSING: {
    status: 409,
    retry: false,
    meaning: 'an order to install where neither class nor node has an install plan',
  },
  INSTALL_PROFILE_UNKNOWN: {
    status: 422,
    retry: false,
    meaning: 'an install profile that the boot image does not bring',
  },
  INSTALL_STEP_FAILED: {
    status: 500,
    retry: true,
    meaning: 'a step of an installation did not come to its end',
  },
  INSTALL_UNDER_WAY: {
    status: 409,
    retry: false,
    meaning: 'an order to install anew while an installation is under way',
  },
} as const;
