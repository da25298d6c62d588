// The claim flow as it is shipped: the bundled agent in a process of its own, killed while it waits,
// and an operator with the command line. No machine is started.

import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { EXIT } from '../../cli/failure.ts';
import { billet } from '../../cli/testing.ts';
import { writeAgent } from '../../setup/build/agent-bundle.ts';
import { parseMarker } from '../../shared/markers.ts';
import { routes } from '../../shared/routes/table.ts';
import { eventually } from '../agent/agent-fixture.ts';
import { bodyOf, type Fixture, startFixture } from '../coordinator/coordinator-fixture.ts';
import { makeNode, newMachine } from './claim-fixture.ts';

let fixture: Fixture;
let dir: string;
let context: string;
const running: ChildProcess[] = [];

before(async () => {
  dir = await mkdtemp(join(tmpdir(), 'billet-claim-process-'));
  fixture = await startFixture({ heartbeatSeconds: 1 });
  context = fixture.coordinator.adminContextPath;
  await writeAgent(dir);
});
after(async () => {
  for (const child of running) child.kill('SIGKILL');
  await fixture.close();
  await rm(dir, { recursive: true, force: true });
});

const run = (...args: string[]) => billet(args, { env: { BILLET_CONTEXT: context } });

/** A configuration whose identity file has coordinator and CA, and no word of an instance. */
async function configFile(): Promise<string> {
  const { publicKey } = generateKeyPairSync('ed25519');
  const pem = publicKey.export({ type: 'spki', format: 'pem' }).toString();
  const at = (name: string) => join(dir, name);
  const { url: coordinator, caFingerprint: ca } = fixture.coordinator;
  await writeFile(at('identity.json'), JSON.stringify({ coordinator, ca }));
  const policy = { format: 1, rules: [{ modules: ['*'], keys: [pem] }] };
  await writeFile(at('policy.json'), JSON.stringify(policy));
  await mkdir(at('store'), { recursive: true });
  const config = {
    ...{ stateDir: at('state'), storeDir: at('store'), runDir: at('run') },
    ...{ trustPolicy: at('policy.json'), identityFile: at('identity.json') },
  };
  await writeFile(at('agent.json'), JSON.stringify(config));
  return at('agent.json');
}

/** The agent, and the codes that it showed. */
function startAgent(config: string) {
  const codes: string[] = [];
  const child = spawn(process.execPath, [join(dir, 'agent.mjs'), 'run', '--config', config], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  running.push(child);
  let text = '';
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk;
    codes.length = 0;
    for (const line of text.split('\n')) {
      const marker = parseMarker(line);
      if (marker?.stage === 'claim') codes.push(marker.fields.code ?? '');
    }
  });
  const code = () =>
    eventually(
      () => codes.at(-1) ?? '',
      (shown) => shown !== '',
    );
  return { child, code, text: () => text };
}

test('an agent without a token waits for its code, over a SIGKILL, and runs once it is approved', async () => {
  const config = await configFile();
  const first = startAgent(config);
  const code = await first.code();
  first.child.kill('SIGKILL');
  await once(first.child, 'exit');
  const second = startAgent(config);
  assert.equal(await second.code(), code);

  const list = await run('claim', 'list');
  assert.match(list.stdout, new RegExp(`^CODE +STATE.*\\n${code} +open`));
  const shown = await run('claim', 'show', code.toLowerCase());
  assert.match(shown.stdout, new RegExp(`^code +${code}\nkey +sha256:`));
  assert.equal((await run('claim', 'approve', code, '--node', 'by-hand')).code, EXIT.notFound);
  const node = await makeNode(fixture, 'by-hand');
  const approved = await run('claim', 'approve', code, '--node', node);
  assert.match(
    approved.stdout,
    /may be by-hand\n.*\nNext: billet events --follow --subject instance/,
  );
  const { instance: id } = bodyOf(
    await fixture.admin.call(routes.getNode, { params: { name: node } }),
  );
  assert.ok(id);
  const found = await eventually(
    async () => bodyOf(await fixture.admin.call(routes.getInstance, { params: { id } })),
    ({ confirmed }) => confirmed === 1,
  );
  assert.equal(found.state, 'running');
  second.child.kill('SIGTERM');
  assert.deepEqual(await once(second.child, 'exit'), [0, null]);
  assert.ok(!second.text().includes('FAILURE'), second.text());
});

test('the command line denies, and says what is wrong with a code', async () => {
  const { code } = await newMachine(fixture).open();
  const denied = await run('claim', 'deny', code, '--json');
  assert.equal(JSON.parse(denied.stdout).state, 'denied');
  const typo = await run('claim', 'show', '7K3M');
  assert.deepEqual([typo.code, /a code like 7K3M-Q2XT/.test(typo.stderr)], [EXIT.usage, true]);
  const unknown = await run('claim', 'approve', 'ZZZZ-ZZZZ', '--node', 'by-hand');
  assert.match(unknown.stderr, /^error: there is no such claim\nhint: .*\ncode: CLAIM_UNKNOWN\n$/s);
  assert.equal(unknown.code, EXIT.notFound);
});
