// The network of a boot in a namespace of its own, as machine.ts wires it: network-child.ts COMMAND_LINE ROOT
// LEASE_SCRIPT. Prints one line of JSON and ends.

import { bootNetwork } from '../../agent/boot/boot-network.ts';
import { hostExec } from '../../agent/drivers/exec.ts';
import { networkUp } from '../../agent/drivers/network.ts';
import { type NetworkDeps, wiredLinks } from '../../agent/drivers/network-tools.ts';
import { systemClock } from '../../shared/clock.ts';
import { BilletError } from '../../shared/errors.ts';

const [commandLine = '', root = '/', leaseScript = ''] = process.argv.slice(2);
const signal = AbortSignal.timeout(40_000);
const failures: string[] = [];
const note = (error: unknown) =>
  failures.push(error instanceof BilletError ? `${error.code}: ${error.message}` : String(error));
const deps: NetworkDeps = {
  ...{ exec: hostExec, clock: systemClock, root, leaseScript, warn: note },
  // Ends of a veth(4) have no device behind them.
  isWired: (link) => /^(eth\d|bootnet)$/.test(link),
};
const network = bootNetwork({
  log: { failure: (_, error) => note(error) },
  commandLine: async () => commandLine,
  up: (plan, ends) => networkUp(deps, plan, ends),
  keep: () => undefined,
  wired: () => wiredLinks(deps),
});

async function main() {
  try {
    const up = await network.up(signal);
    const again = await network.up(signal);
    const routes = await Promise.all(
      ['-4', '-6'].map((family) => hostExec(['ip', family, 'route', 'show'], signal)),
    );
    const files = await network.systemFiles(up.addresses);
    const same = JSON.stringify(up.addresses) === JSON.stringify(again.addresses);
    return { up, same, routes: routes.map(({ stdout }) => stdout).join(''), files };
  } catch (error) {
    if (!(error instanceof BilletError)) throw error;
    return { error: { code: error.code, message: error.message, hint: error.hint } };
  }
}

process.stdout.write(`${JSON.stringify({ failures, ...(await main()) })}\n`);
