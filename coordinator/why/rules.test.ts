import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { SignalId } from '#shared/schema/signal.ts';
import { explain } from './rules.ts';
import type { StorySignal } from './story.ts';
import {
  changedAt,
  type Different,
  eventAt,
  generationOf,
  HOUR,
  heartbeatAt,
  MINUTE,
  manifestOf,
  moduleOf,
  NOON,
  storyOf,
} from './testing.ts';

const WEB_FAILED = {
  modules: [
    {
      ...{ name: 'web', version: '1.1.0', state: 'failed' },
      ...{ manifest: manifestOf('1.1.0'), image: manifestOf('1.1.0i') },
    },
  ],
  lastReconcile: {
    ...{ at: '2026-11-21T11:59:00.000Z', outcome: 'failed', steps: 3 },
    ...{ code: 'UNIT_FAILED', message: 'web.service: exit code 1' },
  },
};

/** web was 1.0.0 until `at`, and is 1.1.0 since; base stays. */
const webChanged = (at: number, more: Different = {}) =>
  storyOf({
    generations: [
      generationOf(1, [moduleOf('base', '5.0.0'), moduleOf('web', '1.0.0')]),
      generationOf(2, [moduleOf('base', '5.0.0'), moduleOf('web', '1.1.0')]),
    ],
    events: [changedAt(at, 2)],
    heartbeat: heartbeatAt(NOON - MINUTE, WEB_FAILED),
    ...more,
  });

const kinds = (story: ReturnType<typeof storyOf>) => explain(story).causes.map(({ kind }) => kind);

test('the module that changed a minute before it failed comes first, with evidence and a way back', () => {
  const { failure, causes, confidence, reasoning } = explain(webChanged(NOON - 2 * MINUTE));
  assert.equal(failure?.kind, 'module');
  assert.match(failure?.text ?? '', /^web should run and does not: UNIT_FAILED/);
  const [first, second] = causes;
  assert.equal(first?.what, 'module web: 1.0.0 became 1.1.0');
  assert.match(first?.evidence[0]?.source ?? '', /^event \d+$/);
  assert.match(
    first?.evidence[0]?.text ?? '',
    /generation 1 became 2, by template\/edge, by operator:eve/,
  );
  assert.match(first?.hint ?? '', /billet node set web-1 --module web@sha256:/);
  assert.ok(first?.reasons.some((reason) => /the failure names web$/.test(reason)));
  assert.ok(first?.reasons.some((reason) => /60 s before the failure/.test(reason)));
  assert.equal(second?.kind, 'report');
  assert.ok(['high', 'medium'].includes(confidence));
  assert.match(reasoning, /^module web: 1\.0\.0 became 1\.1\.0/);
});

test('a module of another name that changed at the same moment comes after it', () => {
  const story = webChanged(NOON - 2 * MINUTE, {
    generations: [
      generationOf(1, [moduleOf('base', '5.0.0'), moduleOf('web', '1.0.0')]),
      generationOf(2, [moduleOf('base', '5.0.1'), moduleOf('web', '1.1.0')]),
    ],
  });
  const modules = explain(story).causes.filter(({ kind }) => kind === 'module');
  assert.match(modules[0]?.what ?? '', /^module web/);
  assert.match(modules[1]?.what ?? '', /^module base: 5\.0\.0 became 5\.0\.1/);
});

test('settings and boot image that changed are named by field and kernel', () => {
  const boot = (kernelRelease: string) => ({
    ...{ repository: 'boot', manifest: manifestOf('m'), kernel: manifestOf('k') },
    ...{ initramfs: manifestOf('i'), uki: null, loader: null, kernelRelease, commandLine: '' },
  });
  const generations = [
    generationOf(1, [], { settings: { timezone: 'Etc/UTC' }, bootImage: boot('6.12.1') }),
    generationOf(2, [], { settings: { dns: ['192.0.2.1'] }, bootImage: boot('6.12.2') }),
  ];
  const found = explain(webChanged(NOON - HOUR, { generations })).causes.map(({ what }) => what);
  assert.ok(found.includes('settings: timezone, dns'), found.join('; '));
  assert.ok(found.includes('boot image: kernel 6.12.1 became 6.12.2'), found.join('; '));
});

test('how the same manifest does elsewhere moves the module up or down', () => {
  const score = (well: number, failed: number) => {
    const elsewhere = new Map([[manifestOf('1.1.0'), { well, failed }]]);
    const [first] = explain(webChanged(NOON - HOUR, { elsewhere })).causes.filter(
      ({ kind }) => kind === 'module',
    );
    return first?.score ?? 0;
  };
  assert.ok(score(0, 3) > score(0, 0));
  assert.ok(score(5, 0) < score(0, 0));
});

test('a rejected generation is blamed on what came with it', () => {
  const reason = 'the probe web-http of web answered 500';
  const { failure, causes } = explain(
    webChanged(NOON - 5 * MINUTE, {
      heartbeat: heartbeatAt(NOON, { generation: 1 }),
      instance: { rejected: [{ generation: 2, reason }] },
      events: [
        changedAt(NOON - 5 * MINUTE, 2),
        eventAt(NOON - 4 * MINUTE, 'generation.rejected', { generation: 2 }),
      ],
    }),
  );
  assert.equal(failure?.kind, 'rejected');
  assert.match(failure?.source ?? '', /^event \d+$/);
  assert.ok(causes[0]?.reasons.some((why) => /came with generation 2, which failed/.test(why)));
});

test('who fell silent right after its certificate was revoked, has that as the cause', () => {
  const story = storyOf({
    instance: { connected: false, lastSeenAt: NOON - 20 * MINUTE },
    events: [
      eventAt(NOON - 5 * HOUR, 'task.created'),
      eventAt(NOON - 20 * MINUTE - 2_000, 'certificate.revoked'),
    ],
  });
  const { failure, causes } = explain(story);
  assert.equal(failure?.kind, 'silent');
  assert.deepEqual([causes[0]?.kind, causes[1]?.kind], ['certificate', 'task']);
});

test("a provider's own answer is the cause of a machine that it does not make", () => {
  const fault = { code: 'PROVIDER_QUOTA', message: '4 of 4 machines', hint: 'terminate some' };
  for (const state of ['pending', 'failed'] as const) {
    const instance = { state, fault, reason: `no machine; ${fault.code}: ${fault.message}` };
    const { failure, causes } = explain(storyOf({ instance, heartbeat: null }));
    assert.equal(failure?.kind, 'provider', state);
    assert.match(causes[0]?.what ?? '', /^the provider says PROVIDER_QUOTA/);
    assert.equal(causes[0]?.hint, 'terminate some');
  }
});

test('what comes after the failure, or too long before it, is no cause', () => {
  const late = eventAt(NOON - MINUTE + 30_000, 'instance.booted');
  const early = eventAt(NOON - 30 * HOUR, 'instance.booted');
  const story = webChanged(NOON - 2 * MINUTE, { events: [early, late] });
  assert.ok(!kinds(story).includes('host'));
});

test('the first boot of an instance is no change; a second one is', () => {
  const created = eventAt(NOON - 3 * HOUR, 'instance.created');
  const boots = [
    eventAt(NOON - 2 * HOUR, 'instance.booted'),
    eventAt(NOON - HOUR, 'instance.booted'),
  ];
  assert.equal(kinds(storyOf({ events: [created, ...boots] })).length, 1);
});

test('standing properties of a machine are no cause; conditions that come are', () => {
  const conditions = ['BOOT_UNVERIFIED', 'STORE_FULL'].map((code) => ({
    ...{ code, text: 'a text', hint: 'a hint' },
  }));
  const heartbeat = heartbeatAt(NOON, { ...WEB_FAILED, conditions });
  const whats = explain(storyOf({ heartbeat })).causes.map(({ what }) => what);
  assert.ok(whats.some((what) => /STORE_FULL/.test(what)));
  assert.ok(!whats.some((what) => /BOOT_UNVERIFIED/.test(what)));
});

test('an open signal is the failure where nothing plainer is known, and not its own cause', () => {
  const signal: StorySignal = {
    id: SignalId.parse('i-0123456789abcdef.stuck'),
    ...({ kind: 'instance.stuck', state: 'open' } as const),
    ...{ openedAt: '2026-11-21T11:00:00.000Z', text: 'stuck', cause: 'TIMEOUT', hint: 'look' },
  };
  const { failure, causes } = explain(storyOf({ signals: [signal] }));
  assert.equal(failure?.kind, 'stuck');
  assert.deepEqual(causes, []);
  assert.deepEqual(kinds(webChanged(NOON - HOUR, { signals: [signal] })).includes('signal'), true);
});

test('nothing wrong is said as that, and what changed lately is still shown', () => {
  const story = webChanged(NOON - HOUR, { heartbeat: heartbeatAt(NOON) });
  const { failure, confidence, causes } = explain(story);
  assert.deepEqual([failure, confidence], [null, 'none']);
  assert.equal(causes[0]?.kind, 'module');
});

test('the nearer a change is to the failure, the higher its score; scores are 1 to 100, in order', async () => {
  const minutes = fc.integer({ min: 1, max: 1_400 });
  await fc.assert(
    fc.property(minutes, minutes, fc.integer({ min: 0, max: 9 }), (one, other, well) => {
      const elsewhere = new Map([[manifestOf('1.1.0'), { well, failed: 0 }]]);
      const causes = [one, other].map((ago) =>
        explain(webChanged(NOON - MINUTE - ago * MINUTE, { elsewhere })),
      );
      const [first, second] = causes.map(
        (each) => each.causes.find(({ kind }) => kind === 'module')?.score ?? 0,
      );
      if (one <= other) assert.ok((first ?? 0) >= (second ?? 0));
      for (const { causes: list } of causes) {
        const scores = list.map(({ score }) => score);
        assert.deepEqual(
          scores,
          scores.toSorted((a, b) => b - a),
        );
        assert.ok(scores.every((score) => score >= 1 && score <= 100));
      }
    }),
  );
});
