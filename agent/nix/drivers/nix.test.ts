import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Exec, hostExec } from '../../drivers/exec.ts';
import { hostNix } from './nix.ts';

const never = new AbortController().signal;
const pathOf = (index: number) =>
  `/nix/store/${String(index).padStart(32, '0')}-nixos-system-${'x'.repeat(150)}`;

test('a system of thousands of paths is described whole, in more than a megabyte', async () => {
  const print = `
    const path = ${pathOf.toString()};
    const paths = Array.from({ length: 2000 }, (_, index) => ({
      path: path(index), narHash: 'sha256-' + 'A'.repeat(43) + '=', narSize: 1,
      references: [path(0), path(1), path(2)], signatures: ['cache-1:' + 'A'.repeat(86) + '=='],
    }));
    console.log(JSON.stringify(paths));`;
  const exec: Exec = (_argv, ...more) => hostExec([process.execPath, '--eval', print], ...more);
  const nix = hostNix({ exec, root: '/', netrc: '/nonexistent' });
  const infos = await nix.closure(pathOf(0), 'https://cache.example.org', never);
  assert.equal(infos?.length, 2000);
});

test('every call names all that decides whose signatures count, so that no nix.conf does', async () => {
  const ran: string[] = [];
  const exec: Exec = async (argv) => {
    ran.push(argv.join(' '));
    return { code: 0, stdout: '[]', stderr: '' };
  };
  const nix = hostNix({ exec, root: '/mnt', netrc: '/n' });
  const key = { key: 'fleet-1:AAAA', systems: true };
  await nix.copy(pathOf(0), 'https://cache.example.org', [key], never);
  await nix.verify(pathOf(0), [key], never);
  await nix.setProfile(pathOf(0), never);
  await nix.collectGarbage(1, never);
  assert.equal(ran.length, 4);
  for (const line of ran) {
    assert.match(line, /^env NIX_CONF_DIR=\/nonexistent NIX_USER_CONF_FILES= NIX_CONFIG= /);
    assert.match(line, /--option require-sigs true .*--option substituters {2}/);
    assert.match(line, /local\?root=\/mnt/);
  }
  for (const line of ran.slice(0, 2)) assert.match(line, /trusted-public-keys fleet-1:AAAA /);
  for (const line of ran.slice(2)) assert.match(line, /trusted-public-keys {2}/);
});
