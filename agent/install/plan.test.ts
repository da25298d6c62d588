import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { INSTALL_STEPS, type InstallStep } from '#shared/schema/install-report.ts';
import { type InstallDecision, planInstall } from './plan.ts';
import { EVENT, laidOut, OTHER_EVENT, planRequest, record, seenDisk } from './testing.ts';
import { signatureId, wipeId } from './wipe-id.ts';

const EXT4 = [{ startBytes: 0, offset: '0x438', type: 'ext4', label: 'precious', uuid: 'u' }];
const GIVEN = { givenUp: EXT4.map(signatureId) };
const plan = (...args: Parameters<typeof planRequest>) => planInstall(planRequest(...args));
const code = (decision: InstallDecision) =>
  decision.kind === 'refuse' ? decision.problem.code : decision.kind;
const steps = (decision: InstallDecision) =>
  decision.kind === 'install' ? decision.steps : assert.fail(code(decision));

test('an empty disk takes every step; one that is done, none', () => {
  assert.deepEqual(steps(plan([seenDisk('vda'), seenDisk('vdb')])), INSTALL_STEPS);
  const done = seenDisk('vda', { record: record(INSTALL_STEPS), ...laidOut() });
  assert.equal(code(plan([done])), 'present');
  assert.equal(code(plan([done], { disk: { serial: 'elsewhere' } })), 'present');
  assert.equal(code(plan([done], {}, { firmware: 'bios', bootImage: null })), 'present');
});

test('what began under this event goes on after the steps that are over', () => {
  const begun = seenDisk('vda', {
    record: record(['wipe', 'partition', 'format']),
    ...laidOut(),
    holdsData: true,
  });
  const decision = plan([begun]);
  assert.deepEqual(steps(decision), ['loader', 'slot', 'state', 'finish']);
  assert.ok(decision.kind === 'install' && decision.resumes && !decision.releases);
  const claimed = seenDisk('vda', { record: record([], GIVEN), signatures: EXT4 });
  assert.deepEqual(steps(plan([claimed])), INSTALL_STEPS, 'a wipe that was cut off is taken again');
  const lost = seenDisk('vda', { record: record(['wipe', 'partition', 'format', 'loader']) });
  assert.deepEqual(steps(plan([lost])), INSTALL_STEPS.slice(1), 'without its table, from there');
  const rival = seenDisk('vdb', { disk: { ...begun.disk, name: 'vdb' } });
  assert.equal(code(plan([begun, rival])), 'install', 'the choice was made when it began');
});

test('another plan under an event that has begun is refused, until it is put back', () => {
  const begun = seenDisk('vda', { record: record(['wipe']), ...laidOut() });
  assert.equal(
    code(plan([begun, seenDisk('vdb')], { disk: { serial: 'serial-vdb' } })),
    'INSTALL_PLAN_CHANGED',
  );
  const recoveryRecipient = '-----BEGIN PUBLIC KEY-----\nAA==\n-----END PUBLIC KEY-----\n';
  const encrypted = { profile: 'single-disk-encrypted', recoveryRecipient };
  assert.equal(code(plan([begun], encrypted)), 'INSTALL_PLAN_CHANGED');
  assert.equal(code(plan([begun], { wipeId: 'wipe-0123456789abcdef' })), 'install');
});

test('what it holds is lost by its own name only', () => {
  const full = seenDisk('vda', { signatures: EXT4 });
  const id = wipeId(full.disk, EXT4);
  assert.equal(code(plan([full])), 'INSTALL_DISK_HOLDS_DATA');
  assert.equal(code(plan([full], { wipeId: id })), 'install');
  const moved = { ...full, disk: { ...full.disk, name: 'vdz' } };
  assert.equal(code(plan([moved], { wipeId: id })), 'install', 'kernel names move');
  const changed = seenDisk('vda', {
    signatures: [...EXT4, { startBytes: 0, offset: '0x0', type: 'x' }],
  });
  assert.equal(code(plan([changed], { wipeId: id })), 'INSTALL_DISK_HOLDS_DATA');
  assert.equal(
    code(
      plan([{ ...full, disk: { ...full.disk, serial: 'serial-vda', sizeBytes: 3e9 } }], {
        wipeId: id,
      }),
    ),
    'INSTALL_DISK_HOLDS_DATA',
  );
});

test('an installation of this instance that never ended is not foreign; one that did end is', () => {
  const earlier = (done: typeof INSTALL_STEPS | readonly [], instance?: string) =>
    seenDisk('vda', {
      record: record(done, { event: OTHER_EVENT, ...(instance ? { instance } : {}) }),
      ...laidOut(OTHER_EVENT),
    });
  assert.equal(code(plan([earlier([])])), 'install');
  assert.equal(code(plan([earlier(INSTALL_STEPS)])), 'INSTALL_DISK_HOLDS_DATA');
  assert.equal(code(plan([earlier([], 'i-aaaaaaaaaaaaaaaa')])), 'INSTALL_DISK_HOLDS_DATA');
});

test('what somebody else put onto a disk since is theirs, whatever journal is still before it', () => {
  const foreign = laidOut('ie-aaaaaaaaaaaaaaaa');
  const GPT = [{ startBytes: 0, offset: '0x200', type: 'gpt' }];
  const contents = [foreign, { signatures: EXT4 }, { signatures: [...GPT, ...EXT4] }];
  const cuts = [[], ['wipe'], ['wipe', 'partition']] as const;
  for (const event of [EVENT, OTHER_EVENT])
    for (const [content, done] of contents.flatMap((each) =>
      cuts.map((cut) => [each, cut] as const),
    )) {
      const reused = seenDisk('vda', { record: record(done, { event }), ...content });
      assert.equal(code(plan([reused])), 'INSTALL_DISK_HOLDS_DATA');
      const decision = plan([reused], { wipeId: wipeId(reused.disk, reused.signatures) });
      assert.deepEqual(steps(decision), INSTALL_STEPS);
      assert.ok(decision.kind === 'install' && !decision.resumes);
    }
  const torn = seenDisk('vda', { record: record(['wipe', 'partition']), signatures: GPT });
  assert.deepEqual(steps(plan([torn])), INSTALL_STEPS.slice(1), 'a table that was torn');
});

test('a wipe that was cut off goes on with what is left of what was given up, and with nothing else', () => {
  const held = [...EXT4, ...EXT4.map((each) => ({ ...each, startBytes: 2 ** 20, uuid: 'v' }))];
  const claim = record([], { givenUp: held.map(signatureId) });
  const left = (signatures: typeof held) =>
    code(plan([seenDisk('vda', { record: claim, signatures })]));
  assert.deepEqual([left(held), left(held.slice(1)), left([])], ['install', 'install', 'install']);
  const since = EXT4.map((each) => ({ ...each, uuid: 'made since' }));
  assert.equal(left(since), 'INSTALL_DISK_HOLDS_DATA');
});

test('a table that a program is just making is ours before it is called so', () => {
  const made = { gpt: { diskGuid: 'its own', partitions: [] }, signatures: EXT4 };
  const profiles = planRequest([]).profiles.map((each) => ({ ...each, tableByProgram: true }));
  const then = (done: readonly InstallStep[]) =>
    code(plan([seenDisk('vda', { record: record(done), ...made })], {}, { profiles }));
  assert.equal(then(['wipe']), 'install');
  assert.equal(then([]), 'INSTALL_DISK_HOLDS_DATA');
  assert.equal(then(['wipe', 'partition']), 'INSTALL_DISK_HOLDS_DATA');
});

test('data of this boot leave another disk, too, where both are encrypted: LUKS has one name', () => {
  const disks = [seenDisk('vda'), seenDisk('vdb', { holdsData: true, holders: ['dm-0'] })];
  const releases = (...args: Parameters<typeof plan>) => {
    const decision = plan(...args);
    return decision.kind === 'install' ? decision.releases : assert.fail(code(decision));
  };
  const recoveryRecipient = '-----BEGIN PUBLIC KEY-----\nAA==\n-----END PUBLIC KEY-----\n';
  const encrypted = { profile: 'single-disk-encrypted', recoveryRecipient };
  assert.equal(releases(disks, encrypted), true);
  assert.equal(releases(disks), false);
  const begun = record(['wipe', 'partition', 'format'], { profile: encrypted.profile });
  const resumed = [seenDisk('vda', { record: begun, ...laidOut() }), ...disks.slice(1)];
  assert.equal(releases(resumed, encrypted), true);
});

test('a disk in use, unreadable, or of the medium is left alone', () => {
  assert.equal(code(plan([seenDisk('vda', { users: ['part of md127'] })])), 'INSTALL_DISK_IN_USE');
  assert.equal(code(plan([seenDisk('vda', { unreadable: 'EIO' })])), 'INSTALL_DISK_FAILED');
  assert.equal(code(plan([seenDisk('vda', { bootMedium: true })])), 'INSTALL_DISK_NONE');
  assert.equal(code(plan([seenDisk('vda')], {}, { firmware: 'bios' })), 'INSTALL_FIRMWARE');
  assert.equal(code(plan([seenDisk('vda')], {}, { bootImage: null })), 'INSTALL_IMAGE_INCOMPLETE');
  assert.equal(code(plan([seenDisk('vda')], { profile: 'raid' })), 'INSTALL_PROFILE_UNKNOWN');
});

test('taking every step leaves nothing to do, from wherever it was cut off, and wipes at most once', () => {
  void fc.assert(
    fc.property(
      fc.array(fc.nat({ max: INSTALL_STEPS.length }), { maxLength: 6 }),
      fc.boolean(),
      (cuts, full) => {
        let disk = seenDisk('vda', { signatures: full ? EXT4 : [] });
        const wish = full ? { wipeId: wipeId(disk.disk, EXT4) } : {};
        let wiped = 0;
        for (const cut of [...cuts, INSTALL_STEPS.length]) {
          const decision = plan([disk], wish);
          if (decision.kind === 'present') break;
          const done = new Set(disk.record?.done ?? []);
          for (const step of steps(decision).slice(0, cut)) {
            if (step === 'wipe') wiped += 1;
            if (step === 'wipe') disk = { ...disk, signatures: [], gpt: null };
            if (step === 'partition') disk = { ...disk, ...laidOut() };
            disk = { ...disk, record: record([...done.add(step)]) };
          }
        }
        assert.equal(code(plan([disk], wish)), 'present');
        assert.equal(wiped, 1);
      },
    ),
  );
});
