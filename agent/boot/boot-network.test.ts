// Which network a boot makes: that of its words, or what it does where they cannot be followed. The driver is
// played here; test/network has the real one.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BilletError } from '#shared/errors.ts';
import { bootNetwork } from './boot-network.ts';
import type { NetworkPlan } from './network/plan.ts';

const STATIC = 'vlan=vlan5:eth0 ip=192.0.2.10::192.0.2.1:24::vlan5:none';
const never = new AbortController().signal;
const invalid = () => new BilletError('BOOT_NETWORK_INVALID', 'no such card', { hint: 'none' });
const down = () => new BilletError('LINK_DOWN', 'no carrier', { hint: 'none' });

/** `fails`: what the driver says to a plan; null where it follows it. */
function machine(commandLine: string, fails: (plan: NetworkPlan) => BilletError | null) {
  const failures: string[] = [];
  const network = bootNetwork({
    log: {
      failure: (_, error) => failures.push(error instanceof BilletError ? error.code : 'other'),
    },
    commandLine: async () => commandLine,
    async up(plan) {
      const error = fails(plan);
      if (error !== null) throw error;
      return { addresses: [], dns: [], ntp: [...plan.ntp, '192.0.2.123'] };
    },
    keep: () => undefined,
    wired: async () => [{ name: 'eth0', mac: '52:54:00:00:00:01' }],
  });
  const files = async () => (await network.systemFiles([])).map(({ path }) => path);
  return { network, failures, files };
}

test('words are followed, and go on in the system image', async () => {
  const { network, failures, files } = machine(`${STATIC} billet.ntp=192.0.2.9`, () => null);
  assert.equal((await network.up(never)).plan, 'words');
  assert.deepEqual(network.timeServers(), ['192.0.2.9', '192.0.2.123']);
  assert.equal((await files()).length, 3);
  assert.deepEqual(failures, []);
});

test('a card that is not there makes way for DHCP in the same attempt; the next tries the words anew', async () => {
  let isThere = false;
  const { network, failures, files } = machine(STATIC, ({ by }) =>
    by === 'words' && !isThere ? invalid() : null,
  );
  assert.equal((await network.up(never)).plan, 'fallback');
  assert.deepEqual([failures, await files()], [['BOOT_NETWORK_INVALID'], []]);
  isThere = true;
  assert.equal((await network.up(never)).plan, 'words');
  assert.equal((await files()).length, 3);
});

test('a link that is down is no reason to leave the words', async () => {
  const { network, failures, files } = machine(STATIC, ({ by }) =>
    by === 'words' ? down() : null,
  );
  await assert.rejects(network.up(never), { code: 'LINK_DOWN' });
  assert.deepEqual(failures, []);
  assert.equal(
    (await files()).length,
    3,
    'a machine that boots alone has its network once it is back',
  );
});

test('a machine that has waited for no network yet has the files of its words', async () => {
  const { files } = machine(STATIC, () => null);
  assert.equal((await files()).length, 3);
});
