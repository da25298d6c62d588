// libvirt as a hypervisor, by virsh(1): domains are defined, started, asked after and removed. What a
// domain is, is in providers/libvirt-xml.ts.

import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { BilletError } from '#shared/errors.ts';
import { OperationKey } from '#shared/schema/provider.ts';
import type { Hypervisor } from '../providers/hypervisor.ts';
import { domainName, domainXml, type LibvirtOptions } from '../providers/libvirt-xml.ts';
import type { Exit, Run } from './exec.ts';

const POLL_MS = 100;

export function libvirtHypervisor(
  options: LibvirtOptions & { readonly uri: string; readonly run: Run },
): Hypervisor {
  const { uri, run } = options;
  // Messages are compared below, so they are asked for in one language.
  const virsh = (words: readonly string[], signal: AbortSignal): Promise<Exit> =>
    run(['env', 'LC_ALL=C', 'virsh', '--quiet', '--connect', uri, ...words], signal);

  async function must(words: readonly string[], signal: AbortSignal) {
    const { code, stdout, stderr } = await virsh(words, signal);
    if (code === 0) return stdout;
    throw failed(words[0] ?? '', stderr);
  }

  /** Idempotent: true also when the domain, or its run, was gone already. */
  async function unless(absent: RegExp, words: readonly string[], signal: AbortSignal) {
    const { code, stderr } = await virsh(words, signal);
    if (code !== 0 && !absent.test(stderr)) throw failed(words[0] ?? '', stderr);
  }

  async function stateOf(operation: OperationKey, signal: AbortSignal) {
    const { code, stdout, stderr } = await virsh(['domstate', domainName(operation)], signal);
    if (code === 0) return /^(running|idle|paused|in shutdown)/.test(stdout) ? 'running' : 'off';
    if (NO_DOMAIN.test(stderr)) return null;
    throw failed('domstate', stderr);
  }

  return {
    describe: (plan) => ({ uri, xml: domainXml(plan, options) }),

    async check(signal) {
      await must(['version', '--daemon'], signal);
    },

    async start(plan, signal) {
      const path = join(plan.dir, 'domain.xml');
      await writeFile(path, domainXml(plan, options), { mode: 0o600 });
      // An existing definition is replaced: it may be of an attempt whose files were other ones.
      await must(['define', path], signal);
      await unless(/already (active|running)/i, ['start', domainName(plan.operation)], signal);
    },

    state: stateOf,

    async stop(operation, signal) {
      const name = domainName(operation);
      for (;;) {
        await unless(STOPPED, ['destroy', name], signal);
        await unless(NO_DOMAIN, ['undefine', name, '--nvram', '--managed-save'], signal);
        if ((await stateOf(operation, signal)) === null) return;
        await delay(POLL_MS, undefined, { signal });
      }
    },

    async list(signal) {
      const names = (await must(['list', '--all', '--name'], signal)).split('\n');
      return names.flatMap((name) => {
        const [, operation] = /^billet-(.+)$/.exec(name.trim()) ?? [];
        return OperationKey.safeParse(operation).data ?? [];
      });
    },
  };
}

const NO_DOMAIN = /failed to get domain|Domain not found|no domain with matching/i;
const STOPPED = new RegExp(`${NO_DOMAIN.source}|not running`, 'i');

function failed(verb: string, stderr: string): BilletError {
  const said =
    stderr
      .replace(/^error: /gm, '')
      .trim()
      .slice(0, 900) || 'no reason given';
  const down = /failed to connect|Connection refused|No such file or directory/i.test(said);
  return new BilletError('PROVIDER_FAILED', `virsh ${verb}: ${said}`, {
    hint: down
      ? 'is libvirtd running, and may the coordinator use its socket? virsh -c URI list'
      : 'journalctl -u libvirtd, and /var/log/libvirt/qemu/, say more',
  });
}
