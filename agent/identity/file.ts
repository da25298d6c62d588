// Identity from a JSON file: /etc/billet/identity.json, or the same on a disk that is mounted.

import { join } from 'node:path';
import { parseIdentityJson } from './identity-json.ts';
import { textOrNull } from './source-file.ts';
import type { IdentityStrategy } from './strategy.ts';

export const IDENTITY_FILE = '/etc/billet/identity.json';

export interface FileStrategyOptions {
  readonly root?: string;
  /** Looked at in order; the first that exists counts. */
  readonly paths?: readonly string[];
}

export function fileStrategy(options: FileStrategyOptions = {}): IdentityStrategy {
  const { root = '/', paths = [IDENTITY_FILE] } = options;
  return {
    name: 'file',
    place: `${paths.join(' or ')} as JSON`,
    async read() {
      for (const path of paths) {
        const text = await textOrNull(join(root, path));
        if (text !== null) return parseIdentityJson(text, path);
      }
      return null;
    },
  };
}
