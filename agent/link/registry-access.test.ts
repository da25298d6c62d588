import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { BilletError } from '#shared/errors.ts';
import { registryAccess } from './registry-access.ts';

const SECRET = 'correct horse';
const authOf = (user: string, password = SECRET) =>
  Buffer.from(`${user}:${password}`).toString('base64');

async function withAuth(t: TestContext, content: unknown, mode = 0o600) {
  const state = await mkdtemp(join(tmpdir(), 'billet-access-'));
  t.after(() => rm(state, { recursive: true }));
  const file = join(state, 'registries/auth.json');
  await mkdir(join(state, 'registries/certs.d/a.example:5000'), { recursive: true });
  await writeFile(file, typeof content === 'string' ? content : JSON.stringify(content));
  await chmod(file, mode);
  return { state, file, access: registryAccess(state) };
}

test('the most specific entry counts (containers-auth.json(5)), and none without a match or a file', async (t) => {
  const { access, file } = await withAuth(t, {
    auths: {
      'a.example': { auth: authOf('host') },
      'a.example/team': { auth: authOf('team') },
      'a.example/team/web': { auth: authOf('web', 'with:colon') },
      'b.example:5000': { registrytoken: 'T' },
    },
    credHelpers: { 'c.example': 'secretservice' },
  });
  const user = (host: string, name: string) => {
    const found = access.credentials(host, name);
    return found?.kind === 'basic' ? `${found.username}=${found.password}` : found?.token;
  };
  assert.equal(user('a.example', 'other/web'), `host=${SECRET}`);
  assert.equal(user('a.example', 'team/other'), `team=${SECRET}`);
  assert.equal(user('a.example', 'team/web'), 'web=with:colon');
  assert.equal(user('a.example', 'teamster'), `host=${SECRET}`);
  assert.equal(user('b.example:5000', 'x'), 'T');
  for (const host of ['b.example', 'a.example:5000', 'constructor', 'c.example'])
    assert.equal(access.credentials(host, 'x'), undefined, host);
  await rm(file);
  assert.equal(access.credentials('a.example', 'x'), undefined);
});

test('what skopeo login writes is understood', async (t) => {
  const { access, file } = await withAuth(t, {});
  const entry = { auths: { 'a.example': { auth: authOf('skopeo') } } };
  await writeFile(file, JSON.stringify(entry));
  const argv = ['login', '--get-login', '--authfile', file, 'a.example'];
  assert.equal(execFileSync('skopeo', argv, { encoding: 'utf8' }).trim(), 'skopeo');
  const login = { kind: 'basic', username: 'skopeo', password: SECRET };
  assert.deepEqual(access.credentials('a.example', 'x'), login);
});

test('a file that others may read, or that is no such file, is CONFIG_INVALID and is not quoted', async (t) => {
  const good = { auths: { 'a.example': { auth: authOf('a') } } };
  for (const [content, mode] of [
    [good, 0o640],
    [good, 0o604],
    [`{"auths":{"a.example":{"auth":"${authOf('a')}"`, 0o600],
    [{ auths: { 'a.example': { auth: [SECRET] } } }, 0o600],
    [{ auths: { 'a.example': { auth: SECRET } } }, 0o600],
    [{ auths: { 'a.example': {} } }, 0o600],
    [{ auths: { 'a.example': { identitytoken: SECRET } } }, 0o600],
  ] as const) {
    const { access, file } = await withAuth(t, content, mode);
    assert.throws(
      () => access.credentials('a.example', 'x'),
      (error) =>
        error instanceof BilletError &&
        error.code === 'CONFIG_INVALID' &&
        error.message.includes(file) &&
        error.hint.includes(file) &&
        error.cause === undefined &&
        ![SECRET, authOf('a')].some((each) => `${error.message}${error.hint}`.includes(each)),
      JSON.stringify(content),
    );
  }
});

test('the CAs of a registry are those in its folder, by host and port', async (t) => {
  const { access, state } = await withAuth(t, {});
  const dir = join(state, 'registries/certs.d/a.example:5000');
  for (const name of ['b.crt', 'a.crt', 'client.cert', 'notes'])
    await writeFile(join(dir, name), name);
  assert.deepEqual(access.authorities('a.example:5000'), ['a.crt', 'b.crt']);
  assert.deepEqual(access.authorities('a.example'), []);
});
