// The mode `recorder`: writes down what a hypervisor would run, and says that it runs. The files are
// the record (machine.json, running.json), so that it survives a restart as machines do.

import { access, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { OperationKey } from '#shared/schema/provider.ts';
import type { Hypervisor } from './hypervisor.ts';

export function recorder(root: string, describe: Hypervisor['describe']): Hypervisor {
  const marker = (operation: OperationKey) => join(root, operation, 'running.json');
  const isThere = (path: string) =>
    access(path).then(
      () => true,
      () => false,
    );
  return {
    describe,
    check: async () => undefined,
    start: (plan) => writeFile(marker(plan.operation), `${JSON.stringify(describe(plan))}\n`),
    async state(operation) {
      return (await isThere(marker(operation))) ? 'running' : null;
    },
    stop: (operation) => rm(marker(operation), { force: true }),
    async list() {
      const names = await readdir(root).catch(() => []);
      const found: OperationKey[] = [];
      for (const name of names) {
        const operation = OperationKey.safeParse(name).data;
        if (operation && (await isThere(marker(operation)))) found.push(operation);
      }
      return found;
    },
  };
}
