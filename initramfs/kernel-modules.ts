// Which kernel modules a list of names needs, from depmod's own files (modules.dep(5), depmod(8)).

import { BilletError } from '#shared/errors.ts';

/** Texts of the files that depmod writes into /lib/modules/<release>. */
export interface DepmodFiles {
  readonly dep: string;
  readonly softdep: string;
  readonly alias: string;
  readonly builtin: string;
}

const canonical = (name: string) => name.replaceAll('-', '_');
const nameOf = (path: string) => canonical(path.replace(/^.*\//, '').replace(/\.ko(\.\w+)?$/, ''));
const lines = (text: string) => text.split('\n').filter((line) => line && !line.startsWith('#'));

/** The names in a list file: one a line, `#` starts a comment. */
export const parseModuleList = (text: string): string[] =>
  text
    .split('\n')
    .map((line) => line.replace(/#.*/, '').trim())
    .filter(Boolean);

/**
 * Paths (as in modules.dep, sorted) of `names` and all that they need: dependencies, and soft ones
 * that exist. Built-in modules need no file. Throws KERNEL_MISMATCH for a name that this kernel
 * does not have.
 */
export function resolveModules(names: readonly string[], files: DepmodFiles): string[] {
  if (!/: kernel/.test(files.dep))
    throw new BilletError('KERNEL_MISMATCH', 'modules.dep names no dependency at all', {
      hint: 'depmod could not read the modules: it needs liblzma5 for those that are packed',
    });
  const paths = new Map<string, string>();
  const needs = new Map<string, string[]>();
  for (const line of lines(files.dep)) {
    const [path = '', rest = ''] = line.split(':');
    paths.set(nameOf(path), path);
    needs.set(nameOf(path), rest.split(' ').filter(Boolean).map(nameOf));
  }
  for (const line of lines(files.softdep)) {
    const [, name = '', ...soft] = line.split(' ');
    needs.get(canonical(name))?.push(...soft.filter((word) => !/^(pre|post):$/.test(word)));
  }
  const aliases = Map.groupBy(
    lines(files.alias).map((line) => line.split(' ')),
    ([, alias = '']) => canonical(alias),
  );
  const builtin = new Set(lines(files.builtin).map(nameOf));

  const found = new Set<string>();
  const add = (name: string, required: boolean): void => {
    const path = paths.get(name);
    if (path !== undefined) {
      if (found.has(path)) return;
      found.add(path);
      for (const need of needs.get(name) ?? []) add(canonical(need), false);
    } else if (aliases.has(name))
      for (const [, , target = ''] of aliases.get(name) ?? []) add(canonical(target), false);
    else if (required && !builtin.has(name))
      throw new BilletError('KERNEL_MISMATCH', `this kernel has no module ${name}`, {
        hint: 'mend initramfs/modules.list: a new kernel may have renamed it or built it in',
      });
  };
  for (const name of names) add(canonical(name), true);
  return [...found].sort();
}
