// `hardware-smoke` against a BMC that speaks Redfish: what it does there, in which order, what of it is
// taken back, and what becomes of a BMC that fails, lies or is another one. The peer is made after the
// published mockup "public-rackmount1" (DSP2043) and the clauses of DSP0266 that each test names.

import assert from 'node:assert/strict';
import {
  appendFileSync,
  chmodSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { systemClock } from '#shared/clock.ts';
import { billet } from '../../cli/testing.ts';
import { type BmcFaults, type FakeBmc, startBmc } from './redfish-fixture.ts';
import { bootWhenOn, quickClock } from './watched.ts';

const IMAGE = 'http://192.0.2.10/billet.iso';
let dir = '';

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'billet-redfish-'));
  writeFileSync(join(dir, 'password'), 'calvin-and-hobbes\n', { mode: 0o600 });
  writeFileSync(join(dir, 'console'), '');
});
afterEach(() => rmSync(dir, { recursive: true }));

interface Attempt {
  readonly bmc: FakeBmc;
  readonly flags?: readonly string[];
  readonly trust?: readonly string[];
  readonly signal?: AbortSignal;
}

async function smoke(verb: 'run' | 'preflight', { bmc, flags = [], trust, signal }: Attempt) {
  const pinned = trust ?? ['--bmc-fingerprint', bmc.fingerprint];
  const target = ['--bmc', bmc.url, '--bmc-user', 'operator', '--media-url', IMAGE, ...pinned];
  const own = ['--bmc-password', join(dir, 'password'), '--console', join(dir, 'console')];
  const words = [
    '--work',
    join(dir, 'work'),
    '--flow',
    'iso-diskless',
    ...target,
    ...own,
    ...flags,
  ];
  const ran = await billet(['hardware-smoke', verb, ...words, '--json'], {
    clock: quickClock(),
    ...(signal && { signal }),
  });
  const told = ran.stderr.split('\n').find((line) => line.startsWith('{'));
  return { ...ran, error: JSON.parse(told ?? '{}') };
}

const result = () =>
  JSON.parse(readFileSync(join(dir, 'work/hardware-smoke/latest/result.json'), 'utf8'));

const boots = (bmc: FakeBmc) =>
  bootWhenOn(
    () => bmc.state.power === 'On',
    (text) => appendFileSync(join(dir, 'console'), text),
  );

async function refused(faults: BmcFaults, flags: readonly string[] = []) {
  writeFileSync(join(dir, 'console'), '');
  await using bmc = await startBmc(dir, faults);
  const ran = await smoke('run', { bmc, flags });
  return { ...ran, state: bmc.state, asked: bmc.asked };
}

test('the medium goes in, the next boot is from it, the machine goes on, is ready; all is taken back', async () => {
  // DSP0268: VirtualMedia.InsertMedia, ComputerSystem.Boot, ComputerSystem.Reset.
  await using bmc = await startBmc(dir);
  const [ran] = await Promise.all([smoke('run', { bmc }), boots(bmc)]);
  assert.equal(ran.code, 0, ran.stderr);
  const changes = bmc.asked.filter((one) => !one.startsWith('GET') && !one.includes('Sessions'));
  assert.deepEqual(
    changes.map((one) => one.split(/[./]/).at(-1)),
    ['InsertMedia', '437XR1138R2', 'Reset', '437XR1138R2', 'EjectMedia'],
  );
  assert.deepEqual([bmc.state.inserted, bmc.state.power], [false, 'On']);
  assert.equal(bmc.state.override.BootSourceOverrideEnabled, 'Disabled');
  assert.equal(bmc.state.sessions.size, 0, 'DSP0266, "Session login": it logs out');
  assert.deepEqual([result().outcome, result().transport], ['passed', 'redfish']);
});

test('preflight logs in, says what is there, changes nothing, and keeps no secret', async () => {
  await using bmc = await startBmc(dir);
  const { code, stdout } = await smoke('preflight', { bmc });
  assert.equal(code, 0);
  assert.match(stdout, /Contoso 3500RX/);
  assert.ok(bmc.asked.every((one) => one.startsWith('GET') || one.includes('Session')));
  const folder = join(dir, 'work/hardware-smoke/latest');
  for (const file of readdirSync(folder))
    assert.doesNotMatch(readFileSync(join(folder, file), 'utf8'), /calvin|token-\d/, file);
});

test('a machine that runs is not cut off unless that is asked for', async () => {
  await using bmc = await startBmc(dir);
  bmc.state.power = 'On';
  const { code, error } = await smoke('run', { bmc });
  assert.deepEqual([code, error.code], [6, 'SMOKE_BLOCKED']);
  assert.match(error.hint, /--force-off/);
  assert.deepEqual([bmc.state.power, bmc.state.inserted], ['On', false]);
});

test('a certificate that nobody vouches for is refused, and shown; a pinned one of another BMC, too', async () => {
  await using bmc = await startBmc(dir);
  const unknown = await smoke('preflight', { bmc, trust: [] });
  assert.equal(unknown.code, 6);
  const digest = bmc.fingerprint.replaceAll(':', '').toLowerCase();
  assert.match(unknown.error.hint, new RegExp(`sha256:${digest}`));
  const other = await smoke('preflight', { bmc, trust: ['--bmc-fingerprint', 'ab'.repeat(32)] });
  assert.match(other.error.message, /not sha256:abab/);
  assert.deepEqual(bmc.asked, [], 'nothing is sent to it');
  const ca = await smoke('preflight', { bmc, trust: ['--bmc-ca', bmc.certificate] });
  assert.equal(ca.code, 0, ca.stderr);
});

test('a wrong password is a denial with what the BMC says', async () => {
  // DSP0266, "Error responses": @Message.ExtendedInfo of Base.NoValidSession.
  await using bmc = await startBmc(dir);
  writeFileSync(join(dir, 'password'), 'wrong\n');
  const { code, error } = await smoke('run', { bmc });
  assert.deepEqual([code, result().outcome], [6, 'blocked']);
  assert.match(error.message, /401: There is no valid session/);
  assert.equal(error.hint, 'Log in with a valid user.');
  assert.equal(result().why.code, 'BMC_DENIED');
});

test('a password file that others can read is refused', async () => {
  await using bmc = await startBmc(dir);
  chmodSync(join(dir, 'password'), 0o644);
  const { code, error } = await smoke('run', { bmc });
  assert.deepEqual([code, error.code], [2, 'ARGUMENT_INVALID']);
  assert.match(error.hint, /chmod 600/);
});

test('a session that the BMC drops is made anew, once', async () => {
  // DSP0266, "Session login": 401 when the session is gone.
  await using bmc = await startBmc(dir, { dropsSessionAfter: 12 });
  const [ran] = await Promise.all([smoke('run', { bmc }), boots(bmc)]);
  assert.equal(ran.code, 0, ran.stderr);
  assert.equal(
    bmc.asked.filter((one) => one.endsWith('POST /redfish/v1/SessionService/Sessions')).length,
    3,
  );
});

test('a change that somebody else was quicker with is made on what is there now', async () => {
  // DSP0266, "ETags": If-Match, 412 Precondition Failed.
  await using bmc = await startBmc(dir, { etagRaces: 2 });
  const [ran] = await Promise.all([smoke('run', { bmc }), boots(bmc)]);
  assert.equal(ran.code, 0, ran.stderr);
  const forever = await refused({ etagRaces: 99 });
  assert.match(forever.error.message, /412: The ETag supplied did not match/);
});

test('an operation in the background is followed to its end; one that fails says why', async () => {
  // DSP0266, "Asynchronous operations": 202, Location, Retry-After; DSP0268, Task.
  await using bmc = await startBmc(dir, { task: 'Completed' });
  const [ran] = await Promise.all([smoke('run', { bmc }), boots(bmc)]);
  assert.equal(ran.code, 0, ran.stderr);
  const { error, state } = await refused({ task: 'Exception' });
  assert.match(error.message, /ended as Exception: The image could not be mounted/);
  assert.deepEqual([error.hint, state.power], ['Resubmit the request.', 'Off']);
});

test('a BMC that refuses the medium is quoted, and the machine stays off', async () => {
  const { code, error, state } = await refused({ refusesMedia: true });
  assert.equal(code, 1);
  assert.match(error.message, /format not recognized/);
  assert.deepEqual([state.power, state.sessions.size], ['Off', 0]);
});

test('an old BMC that knows only the image of InsertMedia gets only that', async () => {
  await using bmc = await startBmc(dir, { oldMedia: true });
  const [ran] = await Promise.all([smoke('run', { bmc }), boots(bmc)]);
  assert.equal(ran.code, 0, ran.stderr);
});

test('a BMC that lies about medium or power is not believed', async () => {
  const media = await refused({ liesAboutMedia: true });
  assert.match(media.error.message, /CD1 shows no medium, 120 s after the BMC took it/);
  const power = await refused({ liesAboutPower: true });
  assert.match(power.error.message, /the power state is Off, not On/);
  assert.deepEqual([power.code, power.state.inserted, power.state.sessions.size], [1, false, 0]);
});

test('a link to another host is not followed: the session stays here', async () => {
  const { error } = await refused({ leadsAway: true });
  assert.match(error.message, /points to 192\.0\.2\.66/);
});

test('Ctrl-C while a BMC is silent is a result, and gives back what was taken', async () => {
  const path = '/redfish/v1/Systems/437XR1138R2/ResetActionInfo';
  await using bmc = await startBmc(dir, { silentAt: path });
  const stop = new AbortController();
  const ran = smoke('run', { bmc, signal: stop.signal });
  const limit = AbortSignal.timeout(8000);
  while (!bmc.asked.includes(`GET ${path}`)) await systemClock.sleep(10, limit);
  stop.abort();
  assert.equal((await ran).code, 130);
  assert.equal(result().outcome, 'interrupted');
  assert.deepEqual([bmc.state.inserted, bmc.state.sessions.size], [false, 0]);
});
