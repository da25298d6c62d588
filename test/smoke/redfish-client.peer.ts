// The Redfish client by itself, where `hardware-smoke` would wait for long: a BMC that does not answer,
// one that is not there, and one that answers with something else.

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { systemClock } from '#shared/clock.ts';
import { Digest } from '#shared/digest.ts';
import type { BilletError } from '#shared/errors.ts';
import { openRedfish } from '../../cli/hardware-smoke/redfish/client.ts';
import { ComputerSystem } from '../../cli/hardware-smoke/redfish/schema.ts';
import { bmcDispatcher } from '../../cli/hardware-smoke/redfish/tls.ts';
import { type FakeBmc, startBmc } from './redfish-fixture.ts';

const LIMIT_MS = 300;
const REQUEST_MS = 2000;
const { signal } = new AbortController();
let dir = '';

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'billet-redfish-'));
});
afterEach(() => rmSync(dir, { recursive: true }));

function opened(bmc: Pick<FakeBmc, 'url' | 'fingerprint'>) {
  const digits = bmc.fingerprint.replaceAll(':', '').toLowerCase();
  const fingerprint = Digest.parse(`sha256:${digits}`);
  return openRedfish(
    {
      ...{ url: new URL(bmc.url), user: 'operator', password: 'calvin-and-hobbes' },
      dispatcher: bmcDispatcher({ fingerprint, ca: null }, LIMIT_MS),
      ...{ clock: systemClock, requestMs: REQUEST_MS },
    },
    signal,
  );
}

test('a BMC that does not answer is a timeout with a hint', async () => {
  await using bmc = await startBmc(dir, { silentAt: '/redfish/v1/' });
  await assert.rejects(opened(bmc), ({ code, hint }: BilletError) => {
    assert.equal(code, 'TIMEOUT');
    assert.match(hint, /is Redfish switched on/);
    return true;
  });
});

test('a BMC whose answer never ends is a timeout, too', { timeout: 20_000 }, async () => {
  await using bmc = await startBmc(dir, { dripsAt: '/redfish/v1/' });
  await assert.rejects(opened(bmc), { code: 'TIMEOUT' });
});

test('a session that only the body names is ended as well', async () => {
  // DSP0266, "Session login": the Location header, which some leave out.
  await using bmc = await startBmc(dir, { namesNoLocation: true });
  const redfish = await opened(bmc);
  await redfish.close(signal);
  assert.equal(bmc.state.sessions.size, 0);
});

test('a BMC that is not there is a link that is down', async () => {
  const gone = await startBmc(dir);
  await gone[Symbol.asyncDispose]();
  await assert.rejects(opened(gone), { code: 'LINK_DOWN' });
});

test('a resource that is not as Redfish has it names the field', async () => {
  // DSP0268, ComputerSystem: Id is required, and a collection has none.
  await using bmc = await startBmc(dir);
  const redfish = await opened(bmc);
  await assert.rejects(redfish.get('/redfish/v1/Systems', ComputerSystem, signal), {
    code: 'BMC_FAILED',
    message: '/redfish/v1/Systems of the BMC is not as Redfish has it: @odata.id',
  });
  await redfish.close(signal);
  assert.equal(bmc.state.sessions.size, 0);
});
