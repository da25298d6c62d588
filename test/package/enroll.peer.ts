// `enroll` and `detach` as the package ships them: the bundled agent in a process of its own, its words,
// and what becomes of the token and the files when a word is wrong. No systemd, no machine.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { after, before, test } from 'node:test';
import { EXIT } from '../../cli/failure.ts';
import { billet } from '../../cli/testing.ts';
import { writeAgent } from '../../setup/build/agent-bundle.ts';
import { routes } from '../../shared/routes/table.ts';
import { Identity } from '../../shared/schema/identity.ts';
import { bodyOf, type Fixture, startFixture } from '../coordinator/coordinator-fixture.ts';

const Written = Identity.required();

let fixture: Fixture;
let dir: string;
const at = (name: string) => join(dir, name);

before(async () => {
  dir = await mkdtemp(join(tmpdir(), 'billet-enroll-'));
  fixture = await startFixture({ heartbeatSeconds: 1 });
  await writeAgent(dir);
  const { publicKey } = generateKeyPairSync('ed25519');
  const pem = publicKey.export({ type: 'spki', format: 'pem' }).toString();
  const policy = { format: 1, rules: [{ modules: ['*'], keys: [pem] }] };
  await writeFile(at('policy.json'), JSON.stringify(policy));
  await writeFile(at('bad-policy.json'), '{"format": 1, "rules": []}');
});
after(async () => {
  await fixture.close();
  await rm(dir, { recursive: true, force: true });
});

/** A machine of its own: another state directory, and a configuration with comments. */
async function machine(name: string): Promise<string> {
  const paths = { stateDir: at(`${name}/state`), storeDir: at(`${name}/store`) };
  const config = { ...paths, runDir: at(`${name}-run`), trustPolicy: at(`${name}-policy.json`) };
  await writeFile(at(`${name}.json`), `// of a test\n${JSON.stringify(config)}`);
  return at(`${name}.json`);
}

async function agent(args: readonly string[], stdin = '') {
  const child = spawn(process.execPath, [at('agent.mjs'), ...args], {
    env: { ...process.env, NODE_OPTIONS: '--disable-warning=ExperimentalWarning' },
  });
  child.stdin.end(stdin);
  const [stdout, stderr, [code]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, 'close'),
  ]);
  return { code, stdout, stderr };
}

const cli = (...args: string[]) =>
  billet(args, { env: { BILLET_CONTEXT: fixture.coordinator.adminContextPath } });

test('what `billet token create --write` wrote enrolls over stdin; the policy is copied as it is', async () => {
  const instance = await fixture.instance('web-1');
  const file = at('web-1-identity.json');
  const made = await cli('token', 'create', 'web-1', '--write', file);
  assert.ok(!made.stdout.includes(Written.parse(JSON.parse(await readFile(file, 'utf8'))).token));
  const again = await cli('token', 'create', 'web-1', '--write', file);
  assert.deepEqual([again.code, /EEXIST/.test(again.stderr)], [EXIT.usage, true]);
  const tokens = bodyOf(await fixture.admin.call(routes.listTokens, { query: { instance } }));
  assert.equal(tokens.items.length, 1, 'no secret is made that has nowhere to go');

  const config = await machine('web-1');
  const words = ['enroll', '--config', config, '--identity', '-', '--policy', at('policy.json')];
  const { code, stdout, stderr } = await agent(words, await readFile(file, 'utf8'));
  assert.equal(code, 0, stderr);
  assert.equal(
    stdout,
    `${instance}: certificate enrolled\ntrust policy: ${at('web-1-policy.json')}\n`,
  );
  assert.deepEqual(await readFile(at('web-1-policy.json')), await readFile(at('policy.json')));
  // Again, after the token is used: what is valid stays.
  const second = await agent(words, await readFile(file, 'utf8'));
  assert.match(second.stdout, /certificate survived/);
});

test('a wrong word or a policy that trusts nobody spends no token', async () => {
  const instance = await fixture.instance('web-2');
  const file = at('web-2-identity.json');
  await cli('token', 'create', 'web-2', '--write', file);
  const { coordinator, ca, token } = Written.parse(JSON.parse(await readFile(file, 'utf8')));
  await writeFile(at('token'), `${token}\n`);
  const config = await machine('web-2');
  const place = ['--coordinator', coordinator, '--ca', ca];
  const refused: readonly (readonly [words: readonly string[], code: number, said: RegExp])[] = [
    [['--identity', file, '--policy', at('bad-policy.json')], 1, /CONFIG_INVALID: .*bad-policy/],
    [['--identity', file, '--policy', at('no-policy.json')], 1, /there is no trust policy/],
    [['--identity', file, ...place], 2, /--identity has all/],
    [['--identity', at('nothing.json')], 2, /cannot read .*ENOENT/],
    [['--token', token], 2, /Unknown option '--token'/],
    [[...place, '--token-file', at('token')], 1, /instance is missing/],
    [['--coordinator', coordinator], 1, /ca is missing/],
    [
      [
        '--coordinator',
        coordinator,
        '--ca',
        `sha256:${'0'.repeat(64)}`,
        '--instance',
        instance,
        '--token-file',
        at('token'),
      ],
      1,
      /CA_PIN_MISMATCH/,
    ],
  ];
  for (const [words, expected, said] of refused) {
    const { code, stderr } = await agent(['enroll', '--config', config, ...words]);
    assert.match(stderr, said);
    assert.equal(code, expected, stderr);
    assert.ok(!stderr.replace(/'--token'.*/, '').includes(token), 'no secret in a message');
  }
  const words = [...place, '--instance', instance, '--token-file', at('token')];
  const { stdout, stderr } = await agent(['enroll', '--config', config, ...words]);
  assert.equal(stdout, `${instance}: certificate enrolled\n`, stderr);
});

test('detach where nothing is attached is done at once, and help is no error', async () => {
  const config = await machine('web-3');
  assert.deepEqual(await agent(['detach', '--config', config]), {
    code: 0,
    stdout: '',
    stderr: '',
  });
  const { code, stdout } = await agent(['enroll', '--help']);
  assert.deepEqual([code, /--token-file FILE/.test(stdout)], [0, true]);
});
