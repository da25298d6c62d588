// The agent as it is shipped, one bundled file in a process of its own, on a system that Billet did
// not boot: enroll, run, ask, killed, started again, stopped.

import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { writeAgent } from '../../setup/build/agent-bundle.ts';
import { routes } from '../../shared/routes/table.ts';
import { bodyOf, type Fixture, startFixture } from '../coordinator/coordinator-fixture.ts';
import { eventually, identityOf } from './agent-fixture.ts';

let fixture: Fixture;
let dir: string;
const running: ChildProcess[] = [];

before(async () => {
  dir = await mkdtemp(join(tmpdir(), 'billet-agent-process-'));
  fixture = await startFixture({ heartbeatSeconds: 1 });
  await writeAgent(dir);
});
after(async () => {
  for (const child of running) child.kill('SIGKILL');
  await fixture.close();
  await rm(dir, { recursive: true, force: true });
});

async function configFile(): Promise<string> {
  const { publicKey } = generateKeyPairSync('ed25519');
  const pem = publicKey.export({ type: 'spki', format: 'pem' }).toString();
  const at = (name: string) => join(dir, name);
  const policy = { format: 1, rules: [{ modules: ['*'], keys: [pem] }] };
  await writeFile(at('policy.json'), JSON.stringify(policy));
  await mkdir(at('store'), { recursive: true });
  const config = {
    stateDir: at('state'),
    storeDir: at('store'),
    runDir: at('run'),
    trustPolicy: at('policy.json'),
  };
  await writeFile(at('agent.json'), JSON.stringify(config));
  return at('agent.json');
}

function start(...args: string[]): ChildProcess {
  const child = spawn(process.execPath, [join(dir, 'agent.mjs'), ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  running.push(child);
  return child;
}

async function result(...args: string[]) {
  const child = start(...args);
  let stdout = '';
  let stderr = '';
  child.stdout?.setEncoding('utf8').on('data', (text) => {
    stdout += text;
  });
  child.stderr?.setEncoding('utf8').on('data', (text) => {
    stderr += text;
  });
  const [code] = await once(child, 'close');
  return { code, stdout, stderr };
}

test('bad words, a bad config and no agent are errors with a hint and a code', async () => {
  const unknown = await result('frobnicate');
  assert.equal(unknown.code, 2);
  assert.match(unknown.stderr, /ARGUMENT_INVALID.*\n +usage: billet agent run/);
  await writeFile(join(dir, 'bad.json'), '{"statedir": "/x"}');
  const bad = await result('run', '--config', join(dir, 'bad.json'));
  assert.equal(bad.code, 78, 'systemd does not start it again for this');
  assert.match(bad.stderr, /CONFIG_INVALID.*statedir/s);
  const nobody = await result('status', '--config', await configFile());
  assert.match(nobody.stderr, /UNAVAILABLE.*\n +on the node, as root: systemctl status/);
});

test('it enrolls, runs, answers, survives SIGKILL and says goodbye at SIGTERM', async () => {
  const config = await configFile();
  const instance = await fixture.instance('process-1');
  const show = async () =>
    bodyOf(await fixture.admin.call(routes.getInstance, { params: { id: instance } }));
  const identity = join(dir, 'identity.json');
  await writeFile(identity, JSON.stringify(await identityOf(fixture, instance)));
  const enrolled = await result('enroll', '--config', config, '--identity', identity);
  assert.equal(enrolled.stdout, `${instance}: certificate enrolled\n`, enrolled.stderr);
  await rm(identity);

  const first = start('run', '--config', config);
  await eventually(show, ({ confirmed }) => confirmed === 1);
  first.kill('SIGKILL');
  await once(first, 'exit');

  const second = start('run', '--config', config);
  const status = await eventually(
    async () => (await result('status', '--json', '--config', config)).stdout,
    (text) => text.includes('"verdict":"good"'),
  );
  const { phase, link, conditions } = JSON.parse(status);
  assert.deepEqual([phase, link.problem], ['ready', null]);
  assert.ok(conditions.some(({ code }: { code: string }) => code === 'BOOT_UNVERIFIED'));
  // What an agent may have left before it was killed is swept once, half a minute later at the latest.
  const { stdout: plan } = await result('plan', '--config', config);
  assert.match(plan, /^(nothing to do|collect-garbage)\n$/);
  second.kill('SIGTERM');
  assert.deepEqual(await once(second, 'exit'), [0, null]);
  await eventually(show, ({ heartbeat }) => heartbeat?.phase === 'stopping');
});
