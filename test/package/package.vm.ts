// The packages in a real Debian trixie machine that Billet did not boot: installed by apt, enrolled by one
// command, at work, upgraded under a running service, removed, and purged to what it was before. The
// tests follow each other on the same machine.

import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { after, before, test } from 'node:test';
import { type LabNode, untilInstance } from '../../lab/node.ts';
import type { Shell } from '../../lab/shell.ts';
import { Task } from '../../shared/schema/task.ts';
import { type GuestFleet, NODE } from './guest-fleet.ts';
import { FILES, type GuestMachine, SLOW_MS, startGuest } from './guest-machine.ts';
import { type PackageFiles, VERSION } from './package-fixture.ts';

const LIMIT = { timeout: 300_000 };

const abort = new AbortController();
let dir: string;
let guest: GuestMachine;
let packages: PackageFiles;
let lab: GuestFleet;
let shell: Shell;
let node: LabNode;

before(
  async () => {
    dir = await mkdtemp(join(tmpdir(), 'billet-package-vm-'));
    guest = await startGuest(dir, abort.signal);
    ({ packages, lab, node, shell } = guest);
  },
  { timeout: 600_000 },
);

after(async () => {
  await guest?.[Symbol.asyncDispose]();
  abort.abort();
  await rm(dir, { recursive: true, force: true });
});

const apt = (words: string) =>
  shell.must(`DEBIAN_FRONTEND=noninteractive apt-get -q ${words} < /dev/null`, SLOW_MS);
const files = (...paths: readonly string[]) =>
  paths.map((path) => `${FILES}/${basename(path)}`).join(' ');
const page = async () => await (await fetch(node.pageUrl)).text();
const pidOf = async (unit: string) =>
  (await shell.must(`systemctl show --value -p MainPID ${unit}`)).trim();
const nginx = () => pidOf('billet-web-nginx.service');
const agentPid = () => pidOf('billet-agent.service');
const task = async (...words: string[]) =>
  Task.parse(await lab.fleet.billet('task', 'create', ...words, '--wait'));

test(
  'apt installs the agent from files; without a trust policy it waits, and is not failed',
  LIMIT,
  async () => {
    const { 'billet-runtime': runtime } = packages.current;
    const said = await apt(`install -y ${files(runtime, packages.olderAgent)}`);
    assert.match(said, /not enrolled yet; see billet-agent\(8\)/);
    const unit = await shell.must(
      'systemctl show -p UnitFileState,ActiveState,ConditionResult billet-agent',
    );
    assert.deepEqual(unit.trim().split('\n').sort(), [
      'ActiveState=inactive',
      'ConditionResult=no',
      'UnitFileState=enabled',
    ]);
  },
);

test(
  'one command enrolls it, with no secret among its words, and starts the agent',
  LIMIT,
  async () => {
    const words = `--identity - --policy ${FILES}/trust-policy.json < ${FILES}/identity.json`;
    const said = await shell.must(`billet-agent enroll ${words}`, SLOW_MS);
    assert.match(said, /certificate enrolled/);
    assert.match(said, /billet-agent.service runs/);
    assert.equal((await shell.must('stat -c %a /var/lib/billet/key.pem')).trim(), '600');
  },
);

test(
  'service modules and tasks work; what Billet cannot do there is a condition, once and without a loop',
  LIMIT,
  async () => {
    const { heartbeat } = await untilInstance(
      lab.fleet,
      node,
      'running web',
      ({ heartbeat: now, confirmed, generation }) =>
        confirmed === generation &&
        now?.phase === 'ready' &&
        now.modules?.some(({ name, state: is }) => name === 'web' && is === 'attached') === true,
      SLOW_MS,
    );
    assert.match(await page(), /verified/);
    const codes = heartbeat?.conditions.map(({ code }) => code).sort();
    assert.deepEqual(codes, ['BOOT_UNVERIFIED', 'SYSTEM_UNMANAGED', 'VERITY_UNAVAILABLE']);
    assert.equal(
      (await task('run-probe', NODE, '--url', 'http://127.0.0.1:8080/')).state,
      'succeeded',
    );
    assert.equal((await task('collect-logs', NODE, '--lines', '20')).state, 'succeeded');
    await shell.must(
      "until billet-agent plan | grep -qx 'nothing to do'; do sleep 1; done",
      SLOW_MS,
    );
    const steps = await shell.must(
      "journalctl -u billet-agent -o cat --grep 'attach-service' | wc -l",
    );
    assert.equal(steps.trim(), '1');
  },
);

test(
  'an upgrade restarts the agent and no service, and keeps the configuration',
  LIMIT,
  async () => {
    const before = await nginx();
    await shell.must("sed -i '1i // mine' /etc/billet/agent.json");
    await apt(`install -y ${files(packages.current['billet-agent'])}`);
    await untilInstance(
      lab.fleet,
      node,
      `reporting ${VERSION}`,
      ({ heartbeat }) => heartbeat?.agentVersion === VERSION && heartbeat.phase === 'ready',
      SLOW_MS,
    );
    assert.equal(await nginx(), before);
    assert.match(await page(), /verified/);
    assert.match(await shell.must('head -1 /etc/billet/agent.json'), /mine/);
  },
);

test('a runtime that comes alone restarts the agent, too, and no service', LIMIT, async () => {
  const [service, agent] = [await nginx(), await agentPid()];
  await apt(`install -y --reinstall ${files(packages.current['billet-runtime'])}`);
  const again = await agentPid();
  assert.ok(again !== '0' && again !== agent, again);
  const program = await shell.must(`readlink /proc/${again}/exe`);
  assert.equal(program.trim(), '/usr/lib/billet/node');
  assert.equal(await nginx(), service);
});

test(
  'a coordinator beside it works out of the box, and its admin is root of this machine',
  LIMIT,
  async () => {
    const { billet, 'billet-coordinator': coordinator } = packages.current;
    await apt(`install -y ${files(billet, coordinator)}`);
    const status = `until billet status; do systemctl is-active -q billet-coordinator; sleep 1; done`;
    assert.match(await shell.must(status, SLOW_MS), /127\.0\.0\.1:8443/);
    const log = await shell.must('journalctl -u billet-coordinator -o cat');
    assert.match(log, /admin=\S*\/var\/lib\/billet\/coordinator\/admin\.json/);
    const owner = 'stat -c %U /proc/$(systemctl show --value -p MainPID billet-coordinator)';
    const user = await shell.must(owner);
    assert.equal(user.trim(), 'billet');
    for (const [unit, limit] of [
      ['billet-coordinator', 1.5],
      ['billet-agent', 5.5],
    ] as const) {
      const said = await shell.must(
        `systemd-analyze security --no-pager ${unit}.service | tail -1`,
        SLOW_MS,
      );
      process.stderr.write(`# ${said.trim()}\n`);
      assert.ok(Number(/exposure level for \S+: ([\d.]+)/.exec(said)?.[1]) <= limit, said);
    }
    assert.match(await page(), /verified/);
  },
);

test(
  'remove leaves nothing running and nothing mounted; purge leaves the machine as it was',
  LIMIT,
  async () => {
    await apt('remove -y billet-agent');
    const states = '--state=active,activating,failed';
    const left = [
      `systemctl list-units ${states} --no-legend 'billet-web*' 'billet-agent*'`,
      'findmnt -rno TARGET | grep billet',
      'grep -l nginx /proc/[0-9]*/comm',
      'ls -d /run/billet 2> /dev/null',
    ];
    for (const look of left) assert.equal((await shell.run(look)).output, '', look);
    await assert.rejects(page());
    await shell.must('test -s /var/lib/billet/key.pem -a -s /etc/billet/agent.json');
    await apt("purge -y 'billet*'");
    // The user of the coordinator stays, and its group.
    assert.deepEqual(
      (await guest.changes()).map((line) => line.replace(/\d+/g, 'N')),
      [
        '> billet:x:N:',
        '> billet:x:N:N:Billet coordinator:/var/lib/billet/coordinator:/usr/sbin/nologin',
      ],
    );
  },
);
