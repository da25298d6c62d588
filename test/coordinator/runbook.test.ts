// `billet runbook` against a real coordinator: made from real records and the signed labels of modules in
// its registry, and every command in it exists.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { EXIT } from '../../cli/failure.ts';
import { billet } from '../../cli/testing.ts';
import { routes } from '../../shared/routes/table.ts';
import { ClassSpec } from '../../shared/schema/class.ts';
import { NodeName, ResourceName } from '../../shared/schema/ids.ts';
import { InstanceTypeSpec } from '../../shared/schema/instance-type.ts';
import { PoolSpec } from '../../shared/schema/pool.ts';
import { NodeSpec } from '../../shared/schema/records.ts';
import { TemplateSpec } from '../../shared/schema/template.ts';
import { type Fixture, startFixture } from './coordinator-fixture.ts';

const named = (name: string) => ResourceName.parse(name);
const SSH = `ssh-ed25519 ${'A'.repeat(68)} eve@example`;
const GIB = 2 ** 30;
let fixture: Fixture;
let dir = '';

const run = (...args: readonly string[]) =>
  billet(args, { env: { BILLET_CONTEXT: fixture.coordinator.adminContextPath } });

async function done(...args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await run(...args);
  assert.equal(code, 0, `${args.join(' ')}: ${stderr}`);
  return stdout;
}

const LABEL = {
  ...{ format: 1, name: 'web', version: '1.2.3', sequence: 5, kind: 'service' },
  persistent: ['/var/lib/web'],
  services: [{ name: 'server', exec: ['/usr/bin/web'], stopTimeoutSeconds: 45 }],
  probes: [
    { kind: 'http', name: 'front', url: 'http://127.0.0.1:8080/', contains: "it's | here" },
    { kind: 'unit', name: 'clock', unit: 'systemd-timesyncd.service' },
  ],
};

async function pushModule(): Promise<void> {
  await writeFile(join(dir, 'motd'), 'hello\n');
  const tar = join(dir, 'files.tar');
  execFileSync('tar', ['-C', dir, '-cf', tar, 'motd']);
  await writeFile(join(dir, 'module.json'), JSON.stringify(LABEL));
  const layout = `oci:${join(dir, 'image')}:1`;
  await done('module', 'pack', '--layer', tar, '--module', join(dir, 'module.json'), '-o', layout);
  await done('module', 'push', layout, 'web:1');
}

async function makeRecords(): Promise<void> {
  const { admin } = fixture;
  const create = (name: string, spec: object) => ({ body: { name: named(name), spec, set: null } });
  const architecture = { machine: 'x86_64', oci: 'amd64' };
  await admin.call(routes.createArchitecture, create('amd64', architecture) as never);
  const platform = { architecture: 'amd64', description: 'x' };
  await admin.call(routes.createPlatform, create('debian', platform) as never);
  const type = InstanceTypeSpec.parse({
    ...{ provider: 'local-qemu', architecture: 'amd64' },
    shape: { cpuCount: 2, memoryBytes: 2 * GIB, disks: [{ serial: 'data', sizeBytes: GIB }] },
  });
  await admin.call(routes.createInstanceType, create('small', type) as never);
  // As a node is given it: pinned.
  const probe = JSON.parse(await done('node', 'create', 'pin', '--module', 'web:1', '--json'));
  const template = TemplateSpec.parse({
    description: 'edge | nodes\n# of `many` kinds',
    platform: 'debian',
    modules: probe.spec.modules,
    settings: { timezone: 'Europe/Berlin', sshKeys: [SSH] },
  });
  await admin.call(routes.createTemplate, create('edge', template) as never);
  const of = ClassSpec.parse({
    ...{ template: 'edge', instanceType: 'small', lifecycleClass: 'ephemeral' },
    install: { profile: 'whole-disk', disk: { serial: 'data', sizeBytesMin: GIB } },
  });
  await admin.call(routes.createClass, create('worker', of) as never);
  const pool = PoolSpec.parse({ class: 'worker', warm: 2 });
  await admin.call(routes.createPool, create('workers', pool) as never);
  const spec = NodeSpec.parse({ pool: 'workers' });
  await admin.call(routes.createNode, {
    body: { name: NodeName.parse('edge-1'), spec, set: null },
  });
}

before(async () => {
  dir = await mkdtemp(join(tmpdir(), 'billet-runbook-'));
  fixture = await startFixture();
  await pushModule();
  await makeRecords();
});
after(async () => {
  await fixture.close();
  await rm(dir, { recursive: true });
});

test("it has the template's real modules, probes, services, settings, classes and deadlines", async () => {
  const text = await done('runbook', 'edge');
  for (const part of [
    /^# Runbook: edge$/m,
    /^\| `web` \| service \| 1\.2\.3 \| `sha256:[0-9a-f]{12}` \| `server` \| `front`, `clock` \| `\/var\/lib\/web` \|$/m,
    /^\| `web` \| `front` \| `http:\/\/127\.0\.0\.1:8080\/` answers 200 with `it's \\\| here` within 10 s \|$/m,
    /^\| `web` \| `clock` \| `systemd-timesyncd\.service` is active within 30 s \|$/m,
    /^billet task create run-probe NAME --wait --url http:\/\/127\.0\.0\.1:8080\/ --contains 'it'\\''s \| here'$/m,
    /^billet task create collect-logs NAME --wait --unit billet-web-server\.service$/m,
    /^\| timezone \| `"Europe\/Berlin"` \|$/m,
    /^\| sshKeys \| 1 for root, for emergencies: `eve@example` \|$/m,
    /^\| `worker` \| ephemeral: replaced .* \| `whole-disk` \| `serial data` and `sizeBytesMin 1(\.0)? GiB` /m,
    /^\| `workers` \| `worker` \| 2 \|/m,
    /^\| `small` \| local-qemu \| 2 \| 2(\.0)? GiB \| `data 1(\.0)? GiB` \| direct \|$/m,
    /^Nodes made from it: 1 \(1 without an instance, .*\): `edge-1`$/m,
    /^billet node create NAME --pool workers$/m,
    /^billet instance provision NAME --from-pool --wait$/m,
    /^Its own services take 45 s at most/m,
    /^What goes with the machine: `\/var\/lib\/web`, `data of small`/m,
    /^\| provisioning \| local-qemu, ephemeral \| 10 min \| the machine did not call/m,
  ])
    assert.match(text, part);
  assert.doesNotMatch(text, /AAAA/, 'keys themselves are of no use to a reader');
});

test('without a publication it begins with how to make one', async () => {
  const text = await done('runbook', 'edge');
  assert.match(text, /\*\*Nothing is published for it.*`NETBOOT_IMAGE_MISSING`/);
  assert.match(text, /^billet publication create debian-1 --platform debian .*--publish$/m);
});

test('what others wrote cannot make headings, code or columns', async () => {
  const text = await done('runbook', 'edge');
  assert.match(text, /^edge \\\| nodes \\# of \\`many\\` kinds$/m);
  for (const table of text.split('\n\n').filter((part) => part.startsWith('|'))) {
    const columns = table
      .trim()
      .split('\n')
      .map((line) => line.split(/(?<!\\)\|/).length);
    assert.equal(new Set(columns).size, 1, table);
  }
});

test('each of its commands exists, with every option', async () => {
  const text = await done('runbook', 'edge');
  const lines = [...text.matchAll(/^billet .+$/gm)].map(([line]) => line);
  assert.ok(lines.length > 12);
  for (const line of lines) {
    const words = line.replace(/#.*/, '').trim().split(/\s+/).slice(1);
    const options = words.filter((word) => /^--[a-z]/.test(word));
    const path = words.slice(0, words.findIndex((word) => /^(--|[A-Z]{2})/.test(word)) >>> 0);
    const { code, stdout } = await run(...path.filter((word) => /^[a-z-]+$/.test(word)), '--help');
    assert.equal(code, 0, line);
    for (const option of options) assert.match(stdout, new RegExp(`${option}\\b`), line);
  }
});

test('a module whose label cannot be read is said, and hides nothing of the others', async () => {
  const params = { name: named('edge') };
  const found = await fixture.admin.call(routes.getTemplate, { params });
  const spec = found?.body.spec;
  assert.ok(spec);
  const gone = { ...spec.modules[0], name: 'gone', repository: 'nowhere' };
  const body = TemplateSpec.parse({ ...spec, modules: [...spec.modules, gone] });
  await fixture.admin.call(routes.putTemplate, { params, body });
  const text = await done('runbook', 'edge');
  assert.match(text, /^The label of `gone` could not be read, .*NOT\\_FOUND/m);
  assert.match(
    text,
    /^\| `gone` \| service \| 1\.2\.3 \| `sha256:[0-9a-f]{12}` \| \? \| \? \| \? \|$/m,
  );
  assert.match(text, /`front`/);
});

test('it goes into a file, or is JSON for programs; no such template is NOT_FOUND', async () => {
  const file = join(dir, 'edge.md');
  assert.equal(await done('runbook', 'edge', '--output', file), '');
  assert.match(await readFile(file, 'utf8'), /^# Runbook: edge$/m);
  const facts = JSON.parse(await done('runbook', 'edge', '--json'));
  assert.equal(facts.modules[0].label.probes.length, 2);
  assert.equal((await run('runbook', 'nothing')).code, EXIT.notFound);
  const nowhere = await run('runbook', 'edge', '--output', join(dir, 'no', 'such', 'file'));
  assert.equal(nowhere.code, EXIT.usage);
  assert.match(nowhere.stderr, /cannot write .*ENOENT/);
});
