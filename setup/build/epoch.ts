// The one date of every build: newer files are set back to it. Raising it changes every digest.

/** Unix seconds: 2025-08-09, the release of Debian trixie. */
export const SOURCE_DATE_EPOCH = 1_754_697_600;
