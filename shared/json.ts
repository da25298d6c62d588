// JSON that somebody else wrote. No I/O.

/** Undefined for what is no JSON, which no JSON says: a schema then refuses it in its own words. */
export function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}
