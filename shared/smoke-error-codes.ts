// The codes of machines that are watched and driven from outside, and of the disk budget. Rows of the
// error table (error-codes.ts), which is where they are read; no logic.

export const SMOKE_CODES = {
  BMC_DENIED: {
    status: 403,
    retry: false,
    meaning: 'a BMC that does not let the user in, or does not allow him the action',
  },
  BMC_FAILED: {
    status: 502,
    retry: true,
    meaning: 'a BMC that did not do what was asked, or did not say the truth about it',
  },
  BMC_UNTRUSTED: {
    status: 403,
    retry: false,
    meaning: 'a BMC whose certificate is not the one that was pinned',
  },
  OVER_BUDGET: { status: 507, retry: false, meaning: 'caches or evidence over their budget' },
  SMOKE_BLOCKED: {
    status: 409,
    retry: false,
    meaning: 'no transport or no console by which a machine could be tried',
  },
  SMOKE_FAILED: { status: 500, retry: false, meaning: 'a machine did not come up as it should' },
} as const;
