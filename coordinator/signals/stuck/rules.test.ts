import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Heartbeat } from '#shared/schema/heartbeat.ts';
import { InstanceId, NodeName } from '#shared/schema/ids.ts';
import { InstanceState } from '#shared/schema/records.ts';
import { deadlinesOf, dueDeadline } from '../../nodes/lifecycle-deadlines.ts';
import { likelyCause, stuckSight, type Waiter } from './rules.ts';

const NOW = Date.UTC(2026, 10, 21);
const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;
const LIMITS = { silentAfterMs: 300_000, driftAfterMs: 120_000 };
const STEADY = { now: NOW, steadyMs: LIMITS.silentAfterMs };

const waiter = (fields: Partial<Waiter> = {}): Waiter => ({
  id: InstanceId.parse('i-0123456789abcdef'),
  node: NodeName.parse('web-1'),
  provider: 'local-qemu',
  lifecycleClass: 'persistent',
  state: 'bootstrapping',
  stateSince: NOW - 4.5 * MINUTE_MS,
  signalled: 0,
  reason: '',
  generation: 2,
  rejected: [],
  boot: { ordered: false, token: null },
  facts: null,
  fault: null,
  hasMachine: true,
  heartbeat: null,
  lastSeenAt: null,
  installProblem: null,
  ...fields,
});

const heartbeat = (fields: object): Heartbeat =>
  Heartbeat.parse({
    bootId: '11111111-1111-4111-8111-111111111111',
    ...{ agentVersion: '0.1.0', uptimeSeconds: 1, phase: 'bootstrapping', generation: 0 },
    ...fields,
  });
const at = new Date(NOW).toISOString();

test('each state with a deadline is told of near it, none before, and running and terminated never', () => {
  for (const state of InstanceState.options) {
    const [first] = deadlinesOf(waiter({ state }));
    if (state === 'failed') continue;
    const after = (part: number) =>
      stuckSight(
        waiter({ state, stateSince: NOW - (first?.afterMs ?? 1e12) * part }),
        STEADY,
        LIMITS,
      ).is;
    assert.equal(after(0.7), 'clear', state);
    assert.equal(after(0.9), first ? 'found' : 'clear', state);
    assert.equal(after(2), first ? 'found' : 'clear', state);
  }
});

test('nobody is called stuck for the time in which no coordinator was there', () => {
  assert.equal(stuckSight(waiter(), { now: NOW, steadyMs: 1_000 }, LIMITS).is, 'unknown');
});

test('what failed waits for a person, unless its class lets it go', () => {
  const failed = waiter({ state: 'failed', reason: 'the machine did not call' });
  const sight = stuckSight(failed, STEADY, LIMITS);
  assert.equal(sight.is === 'found' && sight.finding.cause, 'the machine did not call');
  const ephemeral = { ...failed, lifecycleClass: 'ephemeral' } as const;
  assert.equal(stuckSight(ephemeral, STEADY, LIMITS).is, 'clear');
});

test('a node that refuses its install plan waits for a person: told at once, and as long as it takes', () => {
  const installProblem = {
    code: 'INSTALL_DISK_NONE',
    text: 'no disk is serial=x',
    hint: 'mend it',
  };
  const refused = waiter({
    ...{ provider: 'manual', state: 'installing', stateSince: NOW - 1, installProblem },
    install: { waits: true },
  });
  const sight = stuckSight(refused, STEADY, LIMITS);
  assert.ok(sight.is === 'found');
  assert.match(sight.finding.text, /^web-1 cannot be installed as its plan says/);
  assert.equal(sight.finding.cause, 'INSTALL_DISK_NONE: no disk is serial=x');
  assert.match(sight.finding.hint, /billet instance show .* lists its disks; mend it/);
  assert.equal(dueDeadline(refused, NOW + 1000 * DAY_MS), null);
  // What it tried and failed at has the state's deadline: it tries again by itself.
  const failed = { ...refused, install: { waits: false } };
  assert.equal(stuckSight(failed, STEADY, LIMITS).is, 'clear');
  assert.equal(dueDeadline(failed, NOW + 2 * DAY_MS)?.action, 'fail');
});

const CASES: readonly (readonly [what: string, fields: Partial<Waiter>, cause: RegExp])[] = [
  [
    'the provider’s own words come first',
    {
      state: 'provisioning',
      fault: { code: 'PROVIDER_QUOTA', message: '4 machines of 4', hint: 'terminate one' },
    },
    /^PROVIDER_QUOTA: 4 machines of 4$/,
  ],
  [
    'a module that cannot be pulled or verified',
    {
      heartbeat: heartbeat({
        lastReconcile: {
          at,
          outcome: 'failed',
          steps: 1,
          code: 'SIGNATURE_INVALID',
          message: 'web',
        },
        conditions: [{ code: 'SIGNATURE_INVALID', text: 'web', hint: 'sign it' }],
      }),
    },
    /^SIGNATURE_INVALID: web$/,
  ],
  [
    'a generation that its node rejected',
    {
      rejected: [{ generation: 2, reason: 'PROBE_FAILED: web' }],
      heartbeat: heartbeat({ phase: 'degraded' }),
    },
    /^generation 2 was rejected: PROBE_FAILED: web$/,
  ],
  [
    'a condition that is no everyday one',
    {
      heartbeat: heartbeat({
        conditions: [
          { code: 'BOOT_UNVERIFIED', text: 'no Secure Boot', hint: '' },
          { code: 'STORE_FULL', text: 'no room', hint: 'a larger disk' },
        ],
      }),
    },
    /^STORE_FULL: no room$/,
  ],
  [
    'one that went silent in its boot',
    { heartbeat: heartbeat({}), lastSeenAt: NOW - 3 * MINUTE_MS },
    /^it fell silent in phase bootstrapping, at 2026-11-20T23:57/,
  ],
  ['one that enrolled and said nothing', {}, /^it enrolled .* no heartbeat followed/],
  [
    'a token that was given and not used',
    { state: 'provisioning', boot: { ordered: false, token: 'k-0123456789abcdef' } },
    /^its boot script was fetched, with a token, and nobody enrolled/,
  ],
  [
    'a boot that nobody ordered',
    { state: 'provisioning', boot: { ordered: false, token: null } },
    /had no token/,
  ],
  [
    'a machine that never asked',
    { state: 'provisioning', boot: { ordered: true, token: null } },
    /^no boot script was fetched/,
  ],
  ['what only the deadline says', { state: 'terminating' }, /has not proven the machine gone/],
];

for (const [what, fields, cause] of CASES)
  test(`the likely cause: ${what}`, () => {
    const found = likelyCause(waiter(fields), NOW);
    assert.match(found.cause, cause);
    assert.ok(found.hint.length > 0 && !found.hint.includes('ID'), found.hint);
  });
