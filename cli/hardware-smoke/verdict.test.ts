import assert from 'node:assert/strict';
import { test } from 'node:test';
import { failureLine, type Marker, markerLine } from '#shared/markers.ts';
import { FLOWS, type FlowName } from './flows.ts';
import { closed, judgeLine, judgeOf, missingStages, outcomeAt } from './verdict.ts';

const PATIENCE = { timeoutSeconds: 600, graceSeconds: 30 };

/** A line a second, from 1 s. */
const judge = (name: FlowName, lines: readonly string[]) =>
  lines.reduce((judged, line, i) => judgeLine(judged, line, i + 1), judgeOf(FLOWS[name]));
const markers = (...stages: readonly Marker[]) => stages.map((stage) => markerLine(stage));
const codes = (judged: ReturnType<typeof judge>) => judged.failures.map(({ code }) => code);

const KNOWN = [
  'boot-start',
  'store-ready',
  'network-up',
  'identity',
  'enrolled',
  'desired',
] as const;
const RUN = [
  ...(['pulled', 'verified', 'composed', 'sealed', 'mounted', 'switch-root'] as const),
  ...(['agent-start', 'attached', 'ready'] as const),
];
const WHOLE = markers(...KNOWN, ...RUN);
const INSTALL = markers(...KNOWN, 'install-plan', 'install-step', 'install-step', 'installed');

test('a boot with every stage in order has passed, and nothing is missing', () => {
  const judged = judge('netboot', WHOLE);
  assert.equal(outcomeAt(judged, 60, PATIENCE), 'passed');
  assert.deepEqual([judged.boots, missingStages(judged), judged.failures], [1, [], []]);
});

test('stages that run beside each other may come in any order', () => {
  const [start = '', store = '', net = '', identity = '', ...rest] = WHOLE;
  const judged = judge('netboot', [
    start,
    identity,
    net,
    ...rest.slice(0, 2),
    store,
    ...rest.slice(2),
  ]);
  assert.equal(outcomeAt(judged, 60, PATIENCE), 'passed');
});

test('an installation is two boots, and the second start is no restart', () => {
  const second = markers('boot-start', 'boot-slot', 'store-ready', 'identity', 'desired', ...RUN);
  const judged = judge('iso-install', [...INSTALL, ...second]);
  assert.deepEqual(codes(judged), []);
  assert.equal(outcomeAt(judged, 60, PATIENCE), 'passed');
  assert.equal(judged.boots, 2);
  assert.equal(judged.stages.find(({ stage }) => stage === 'install-step')?.count, 2);
});

test('what has not come yet is listed with its boot', () => {
  const judged = judge('iso-install', INSTALL.slice(0, -1));
  const [first, second] = missingStages(judged);
  assert.deepEqual(first, { boot: 1, stage: 'installed' });
  assert.deepEqual(second, { boot: 2, stage: 'boot-start' });
});

test('a stage without one before it is told once, and the run has failed', () => {
  const judged = judge(
    'netboot',
    WHOLE.filter((line) => !line.includes('verified')),
  );
  assert.deepEqual(codes(judged), ['MARKER_MISSING']);
  assert.match(judged.failures[0]?.message ?? '', /composed came without verified/);
  assert.equal(outcomeAt(judged, 60, PATIENCE), 'failed');
});

test('a failure that its stage makes good is kept as mended, and the run has passed', () => {
  const error = { code: 'LINK_DOWN', message: 'no answer', hint: 'wait' } as const;
  const lines = [
    ...WHOLE.slice(0, 4),
    failureLine('enrolled', error),
    markerLine('retry', { stage: 'enrolled', attempt: 1, waitSeconds: 2 }),
    ...WHOLE.slice(4),
  ];
  const judged = judge('netboot', lines);
  assert.deepEqual(
    judged.failures.map(({ code, mended }) => [code, mended]),
    [['LINK_DOWN', true]],
  );
  assert.equal(outcomeAt(judged, 60, PATIENCE), 'passed');
});

test('a failure that no retry mends ends the wait after its grace; another one at the timeout', () => {
  const at = (code: 'LINK_DOWN' | 'SIGNATURE_INVALID') =>
    judge('netboot', [
      ...WHOLE.slice(0, 6),
      failureLine('mounted', { code, message: 'so it is', hint: 'do this' }),
    ]);
  assert.equal(outcomeAt(at('SIGNATURE_INVALID'), 20, PATIENCE), null);
  assert.equal(outcomeAt(at('SIGNATURE_INVALID'), 40, PATIENCE), 'failed');
  assert.equal(outcomeAt(at('LINK_DOWN'), 40, PATIENCE), null);
  assert.equal(outcomeAt(at('LINK_DOWN'), 600, PATIENCE), 'failed');
});

test('silence without a failure is a timeout', () => {
  assert.equal(outcomeAt(judge('netboot', WHOLE.slice(0, 5)), 599, PATIENCE), null);
  assert.equal(outcomeAt(judge('netboot', WHOLE.slice(0, 5)), 600, PATIENCE), 'timeout');
});

test('a second start before the end is a restart, and fails even a run that gets there', () => {
  const judged = judge('netboot', [...WHOLE.slice(0, 9), ...WHOLE]);
  assert.deepEqual(codes(judged), ['RESTARTED']);
  assert.match(judged.failures[0]?.message ?? '', /after composed/);
  assert.deepEqual([judged.boots, outcomeAt(judged, 60, PATIENCE)], [2, 'failed']);
});

test('lines of firmware, loader and kernel that end a boot have codes and hints', () => {
  for (const [line, code] of [
    ['[    1.2] Kernel panic - not syncing: VFS: Unable to mount root fs', 'KERNEL_PANIC'],
    ['BdsDxe: failed to load Boot0001 "UEFI QEMU DVD-ROM": Access Denied', 'FIRMWARE_REFUSED'],
    ['No bootable device.', 'NO_BOOT_DEVICE'],
    ["error: file `/boot/kernel' not found.", 'LOADER_FAILED'],
    ['[ 9.1] I/O error, dev sda, sector 2048 op 0x0:(READ)', 'DISK_ERROR'],
  ] as const) {
    const judged = judge('iso-install', [line]);
    assert.deepEqual(codes(judged), [code]);
    assert.notEqual(judged.failures[0]?.hint, '');
    assert.equal(outcomeAt(judged, 60, PATIENCE), 'failed');
  }
});

test('a machine that is ready by another way than the one watched for is told apart', () => {
  const judged = judge('iso-install', [...markers(...KNOWN), ...markers(...RUN)]);
  assert.deepEqual(codes(judged), ['FLOW_OTHER']);
  assert.equal(outcomeAt(judged, 60, PATIENCE), 'failed');
});

test('a console that ends early says what it ended before', () => {
  const judged = closed(judge('netboot', WHOLE.slice(0, 6)), 9);
  assert.match(judged.failures[0]?.message ?? '', /before pulled/);
  assert.equal(outcomeAt(judged, 60, PATIENCE), 'failed');
});

test('seconds of a stage are those of the machine within a boot', () => {
  const at = (stage: Marker, seconds: number) => markerLine(stage, { seconds });
  const judged = judge('netboot', [
    at('boot-start', 2.5),
    at('network-up', 4),
    at('identity', 4.25),
  ]);
  assert.deepEqual(
    judged.stages.map(({ seconds }) => seconds),
    [1, 1.5, 0.25],
  );
});

test('a marker that the line has damaged is no marker', () => {
  assert.deepEqual(judge('netboot', ['BILLET_MARKER ready a="\\q"']).stages, []);
});

test('a console that repeats itself for hours is told once', () => {
  const errors = Array.from({ length: 2000 }, (_, i) => `I/O error, dev sda, sector ${i}`);
  assert.deepEqual(codes(judge('netboot', errors)), ['DISK_ERROR']);
});

test('a machine that gets over one failure after the other fills no memory', () => {
  const error = { code: 'LINK_DOWN', message: 'away', hint: '' } as const;
  const round = [failureLine('enrolled', error), markerLine('enrolled')];
  const judged = judge('netboot', Array.from({ length: 1500 }, () => round).flat());
  assert.equal(judged.failures.length, 1000);
});

test('what comes behind the end counts for nothing, however the console is cut', () => {
  const judged = judge('netboot', [...WHOLE, 'Kernel panic - not syncing', ...WHOLE]);
  assert.deepEqual(judged, judge('netboot', WHOLE));
});
