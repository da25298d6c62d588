// A machine without NixOS, for tests.

import type { NixSystem } from './system.ts';

const never = () => Promise.reject(new Error('there is no NixOS'));

export const NO_NIX: NixSystem = {
  observe: async () => null,
  pull: never,
  activate: never,
  collect: never,
  noteGood: never,
};
