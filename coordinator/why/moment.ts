// Times of the coordinator and of the wire, one into the other. Reads no clock.

/** As on the wire, from Unix milliseconds. */
export const isoOf = (at: number): string => new Date(at).toISOString();

/** Unix milliseconds, from the wire. */
export const momentOf = (text: string): number => Date.parse(text);
