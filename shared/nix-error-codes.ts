// The codes of NixOS systems: signatures of store paths, binary caches, activation, installation. Rows of
// the error table (error-codes.ts), which is where they are read; no logic.

export const NIX_CODES = {
  NIX_ACTIVATION_FAILED: {
    status: 500,
    retry: false,
    meaning: 'switch-to-configuration of a NixOS system ended with an error',
  },
  NIX_ACTIVATION_TIMEOUT: {
    status: 500,
    retry: false,
    meaning: 'the activation of a NixOS system did not end in time',
  },
  NIX_BUNDLE_INVALID: {
    status: 422,
    retry: false,
    meaning: 'a flake bundle that is none, is too large, or holds what it may not',
  },
  NIX_CACHE_DAMAGED: {
    status: 502,
    retry: true,
    meaning: 'a binary cache gave other bytes than its own description says, or too few',
  },
  NIX_CACHE_UNREACHABLE: {
    status: 502,
    retry: true,
    meaning: 'no binary cache of the closure could be asked',
  },
  NIX_CLOSURE_INVALID: {
    status: 422,
    retry: false,
    meaning: 'a store path that is no NixOS system, or not the one that was named',
  },
  NIX_CLOSURE_MISSING: {
    status: 404,
    retry: true,
    meaning: 'a path of the closure is in none of its binary caches',
  },
  NIX_INSTALL_FAILED: {
    status: 500,
    retry: true,
    meaning: 'a step of the installation of a NixOS system failed',
  },
  NIX_SIGNATURE_INVALID: {
    status: 403,
    retry: false,
    meaning: 'a store path whose signatures are of keys that the trust policy does not name',
  },
  NIX_SIGNATURE_MISSING: {
    status: 403,
    retry: false,
    meaning: 'a store path that nobody signed',
  },
} as const;
