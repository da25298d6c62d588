// systemd as the agent needs it: unit files in a runtime directory, started, stopped and observed by
// systemctl. Writes units that others have rendered; decides nothing.

import { mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { BilletError } from '#shared/errors.ts';
import type { Exec } from './exec.ts';
import { readFileOrNull, removeDrafts, writeFileAtomic } from './files.ts';

export type UnitState = 'active' | 'activating' | 'inactive' | 'failed' | 'missing';

export interface UnitFile {
  /** With its suffix. */
  readonly name: string;
  readonly text: string;
}

export interface Units {
  /** Writes unit files for this boot and has systemd read them, where any of them changed. */
  install(files: readonly UnitFile[], signal: AbortSignal): Promise<void>;
  /** Names of installed files that start with `prefix`. */
  installed(prefix: string): Promise<readonly string[]>;
  /** Removes files of `install`. Missing ones are fine. */
  remove(names: readonly string[], signal: AbortSignal): Promise<void>;
  /** Resolves once all of them are started. Started ones are fine. Throws UNIT_FAILED. */
  start(names: readonly string[], signal: AbortSignal): Promise<void>;
  /** Resolves once nothing of them runs. Unknown ones are fine. Throws UNIT_FAILED. */
  stop(names: readonly string[], signal: AbortSignal): Promise<void>;
  states(names: readonly string[], signal: AbortSignal): Promise<ReadonlyMap<string, UnitState>>;
}

const RUNTIME_UNITS = '/run/systemd/system';

/** What every unit of the agent is called; others write into the same directory. */
const OWN = 'billet-';

/** systemctl's exit code for units that it has never heard of. */
const NOT_LOADED = 5;

export interface SystemdOptions {
  readonly exec: Exec;
  readonly dir?: string;
}

export function systemdUnits({ exec, dir = RUNTIME_UNITS }: SystemdOptions): Units {
  async function systemctl(
    verb: 'start' | 'stop' | 'daemon-reload' | 'reset-failed',
    names: readonly string[],
    signal: AbortSignal,
  ): Promise<void> {
    const { code, stderr } = await exec(['systemctl', '--no-ask-password', verb, ...names], signal);
    const unknownIsFine = verb === 'stop' || verb === 'reset-failed';
    if (code === 0 || (unknownIsFine && (code === NOT_LOADED || /not loaded/.test(stderr)))) return;
    const said = stderr.trim().slice(-1000);
    throw new BilletError('UNIT_FAILED', `systemctl ${[verb, ...names].join(' ')}: ${said}`, {
      hint: `journalctl ${names.map((name) => `-u ${name}`).join(' ')} -n 50`,
      details: { code, units: names },
    });
  }

  return {
    async install(files, signal) {
      await mkdir(dir, { recursive: true });
      await removeDrafts(dir, OWN);
      let changed = false;
      for (const { name, text } of files) {
        const path = join(dir, name);
        const known = await readFileOrNull(path);
        if (known?.toString('utf8') === text) continue;
        // Readable by all, whatever this process's mask: systemd shows units to everybody anyway.
        await writeFileAtomic(path, text);
        // A new file is found without a reload, which would run every generator again.
        changed ||= known !== null;
      }
      if (changed) await systemctl('daemon-reload', [], signal);
    },

    async installed(prefix) {
      try {
        return (await readdir(dir)).filter((name) => name.startsWith(prefix)).sort();
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
        throw error;
      }
    },

    async remove(names, signal) {
      await removeDrafts(dir, OWN);
      if (names.length === 0) return;
      for (const name of names) await rm(join(dir, name), { force: true });
      await systemctl('daemon-reload', [], signal);
    },

    async start(names, signal) {
      if (names.length === 0) return;
      // Units that failed too often in a row are otherwise refused.
      await systemctl('reset-failed', names, signal);
      await systemctl('start', names, signal);
    },

    async stop(names, signal) {
      if (names.length > 0) await systemctl('stop', names, signal);
    },

    async states(names, signal) {
      if (names.length === 0) return new Map();
      const argv = ['show', '--property=Id,LoadState,ActiveState', '--', ...names];
      const { code, stdout, stderr } = await exec(['systemctl', ...argv], signal);
      if (code !== 0)
        throw new BilletError('UNIT_FAILED', `systemctl show: ${stderr.trim().slice(-1000)}`, {
          hint: 'systemctl status',
        });
      return parseStates(names, stdout);
    },
  };
}

/** Blocks of `Key=value` lines in the order of the names, one blank line between. */
export function parseStates(
  names: readonly string[],
  text: string,
): ReadonlyMap<string, UnitState> {
  const blocks = text.trim().split(/\n\n+/);
  return new Map(names.map((name, index) => [name, stateOf(blocks[index] ?? '')]));
}

function stateOf(block: string): UnitState {
  const value = (key: string) => new RegExp(`^${key}=(.*)$`, 'm').exec(block)?.[1] ?? '';
  if (value('LoadState') === 'not-found' || block === '') return 'missing';
  switch (value('ActiveState')) {
    case 'active':
    case 'reloading':
    case 'refreshing':
      return 'active';
    case 'activating':
    case 'deactivating':
      return 'activating';
    case 'failed':
      return 'failed';
    default:
      return 'inactive';
  }
}
