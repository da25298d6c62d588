// systemd on a node that is a directory, for tests: what systemctl does to units, files and their
// states, so that one process may die and another one find what it left. For tests only.
//
//   units/NAME         unit files, written by the real driver
//   loaded/NAME        as systemd has read them
//   unit-states/NAME   active, with the text that it was started with, or failed
//   world.log          what started and stopped, in order

import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import type { Exec } from '../drivers/exec.ts';

const NOT_LOADED = 5;

/** A unit whose text contains `FAIL` does not start. Each call is announced to `before`. */
export function testSystemctl(dir: string, before: (what: string) => Promise<void>): Exec {
  const at = (folder: string, name: string) => join(dir, folder, name);
  const textOf = (folder: string, name: string) =>
    existsSync(at(folder, name)) ? readFileSync(at(folder, name), 'utf8') : null;
  const isActive = (name: string) => textOf('unit-states', name)?.startsWith('active') === true;
  for (const folder of ['units', 'loaded', 'unit-states'])
    mkdirSync(join(dir, folder), { recursive: true });
  const say = (line: string) => appendFileSync(join(dir, 'world.log'), `${line}\n`);

  function reload(): void {
    for (const name of readdirSync(join(dir, 'loaded')))
      if (!isActive(name)) rmSync(at('loaded', name));
    for (const name of readdirSync(join(dir, 'units')))
      writeFileSync(at('loaded', name), textOf('units', name) ?? '');
  }

  function start(name: string): boolean {
    if (isActive(name)) return true;
    const text = textOf('loaded', name) ?? textOf('units', name);
    if (text === null) return false;
    writeFileSync(at('loaded', name), text);
    const works = !text.includes('FAIL');
    say(`${works ? 'start' : 'fail'} ${name}`);
    writeFileSync(at('unit-states', name), works ? `active\n${text}` : 'failed\n');
    return works;
  }

  function stop(name: string): boolean {
    if (isActive(name)) say(`stop ${name}`);
    rmSync(at('unit-states', name), { force: true });
    return textOf('loaded', name) !== null;
  }

  function show(name: string): string {
    const state = textOf('unit-states', name)?.split('\n')[0] ?? 'inactive';
    const loaded = existsSync(at('units', name)) || isActive(name);
    return `Id=${name}\nLoadState=${loaded ? 'loaded' : 'not-found'}\nActiveState=${state}\n`;
  }

  return async (argv) => {
    const [, ...rest] = argv;
    const [verb = '', ...names] = rest.filter((word) => !word.startsWith('-'));
    if (verb === 'show') return ended(0, names.map(show).join('\n'));
    await before([verb, ...names].join(' '));
    if (verb === 'daemon-reload') reload();
    if (verb === 'reset-failed')
      for (const name of names)
        if (!isActive(name)) rmSync(at('unit-states', name), { force: true });
    if (verb === 'stop') return ended(names.map(stop).every(Boolean) ? 0 : NOT_LOADED);
    // One at a time, as a job may be the last thing that an agent sees.
    for (const name of verb === 'start' ? names : []) {
      await before(`start ${name}`);
      if (!start(name)) return ended(1, '', `Job for ${name} failed.`);
    }
    return ended(0);
  };
}

const ended = (code: number, stdout = '', stderr = '') => ({ code, stdout, stderr });
