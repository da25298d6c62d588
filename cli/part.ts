// The other parts of Billet that the one command becomes: the agent, the coordinator. Loaded by their
// address when they are asked for; nothing of them is known here.

import { BilletError } from '#shared/errors.ts';

/** In the source tree, and beside the bundled command, where each comes with its own package. */
const PARTS = {
  agent: { entry: '../agent/main.ts', file: './agent.mjs', package: 'billet-agent' },
  coordinator: {
    entry: '../coordinator/main.ts',
    file: './coordinator.mjs',
    package: 'billet-coordinator',
  },
  backup: {
    entry: '../coordinator/backup/main.ts',
    file: './coordinator-backup.mjs',
    package: 'billet-coordinator',
  },
} as const;

/** The module of a part, as the caller says it is. Throws UNSUPPORTED when it is not installed. */
export async function loadPart<Module>(name: keyof typeof PARTS): Promise<Module> {
  const part = PARTS[name];
  const bundled = !import.meta.url.endsWith('.ts');
  const { href } = new URL(bundled ? part.file : part.entry, import.meta.url);
  try {
    return (await import(href)) as Module;
  } catch (cause) {
    const { code, url } = cause as { readonly code?: string; readonly url?: string };
    if (code !== 'ERR_MODULE_NOT_FOUND' || url !== href) throw cause;
    throw new BilletError('UNSUPPORTED', `${part.package} is not installed on this machine`, {
      hint: `apt-get install ${part.package}`,
      cause,
    });
  }
}
