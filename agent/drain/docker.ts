// The Docker engine of a node, by its own command line: what runs, and stopping it. Decides nothing.

import { z } from 'zod';
import { BilletError } from '#shared/errors.ts';
import type { Exec } from '../drivers/exec.ts';
import { exists } from '../drivers/files.ts';
import type { Units } from '../drivers/units.ts';
import type { SeenContainer, SeenEngine } from './seen.ts';

export interface Engine {
  /** Null where there is none. */
  observe(signal: AbortSignal): Promise<SeenEngine | null>;
  /** Asks each to end in its own time-out, and ends it then. What it said against it, if anything. */
  stop(containers: readonly SeenContainer[], signal: AbortSignal): Promise<string>;
}

export interface DockerOptions {
  readonly exec: Exec;
  readonly units: Pick<Units, 'states'>;
  readonly program?: string;
  readonly socket?: string;
  /** What starts the engine goes before the engine. */
  readonly unitNames?: readonly string[];
}

const Container = z.object({
  id: z.string(),
  name: z.string(),
  restart: z.string(),
  status: z.string(),
});
const FORMAT = [
  '{"id":{{json .Id}}',
  '"name":{{json .Name}}',
  '"restart":{{json .HostConfig.RestartPolicy.Name}}',
  '"status":{{json .State.Status}}}',
].join(',');
const RUNS = new Set(['running', 'restarting', 'paused']);
/** What it says when nobody listens behind the socket. */
const NOBODY = /Cannot connect to the Docker daemon/;

export function docker(options: DockerOptions): Engine {
  const { exec, units, program = 'docker', socket = '/run/docker.sock' } = options;
  const { unitNames = ['docker.socket', 'docker.service'] } = options;
  const run = (args: readonly string[], signal: AbortSignal) =>
    exec([program, '--host', `unix://${socket}`, ...args], signal);

  async function containers(signal: AbortSignal) {
    const listed = await run(['ps', '--quiet', '--no-trunc'], signal);
    if (listed.code !== 0) return { fault: listed.stderr.trim() || `docker ended ${listed.code}` };
    const ids = listed.stdout.split('\n').filter((id) => id !== '');
    if (ids.length === 0) return { found: [] };
    // One that has gone since is named on stderr; the others are there.
    const { stdout } = await run(
      ['inspect', '--type', 'container', '--format', FORMAT, ...ids],
      signal,
    );
    const lines = stdout.split('\n').filter((line) => line !== '');
    const known = lines.map((line) => Container.parse(JSON.parse(line)));
    const found = known
      .filter(({ status }) => RUNS.has(status))
      .map(({ id, name, restart }) => ({
        id,
        name: name.replace(/^\//, ''),
        restarts: restart === 'always' || restart === 'unless-stopped',
      }));
    return { found };
  }

  return {
    async observe(signal) {
      const states = await units.states(unitNames, signal);
      const active = unitNames.filter((name) => isUp(states.get(name)));
      const hasSocket = await exists(socket);
      if (active.length === 0 && !hasSocket) return null;
      const service = unitNames.at(-1) ?? '';
      // Asking would start it.
      if (active.length > 0 && !active.includes(service))
        return { kind: 'idle', containers: [], units: active, reason: '' };
      const seen = await orMissing(() => containers(signal));
      if (seen.found) return { kind: 'up', containers: seen.found, units: active, reason: '' };
      if (active.length === 0 && NOBODY.test(seen.fault)) return null;
      const reason = `${socket} is there and docker does not answer: ${seen.fault.slice(-500)}`;
      return { kind: 'silent', containers: [], units: active, reason };
    },

    async stop(wanted, signal) {
      const { stderr } = await run(['stop', ...wanted.map(({ id }) => id)], signal);
      return stderr.trim();
    },
  };
}

type Listed =
  | { readonly found: readonly SeenContainer[]; readonly fault?: never }
  | { readonly fault: string; readonly found?: never };

/** A machine without the program may have the engine all the same. */
async function orMissing(work: () => Promise<Listed>): Promise<Listed> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof BilletError && error.code === 'UNSUPPORTED')
      return { fault: error.message };
    throw error;
  }
}

const isUp = (state: string | undefined) => state === 'active' || state === 'activating';
