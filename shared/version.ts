// The version of this source tree, as agent, coordinator and CLI report it.

/** Equal to package.json's; a test compares them. */
export const VERSION = '0.1.0';
