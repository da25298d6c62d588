import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Argv } from '../../drivers/exec.ts';
import { parseState, systemdDetached, systemdRun } from './detached.ts';

const never = new AbortController().signal;

test('the unit is a oneshot with a deadline, that stays after its end and is not waited for', () => {
  const argv = systemdRun({
    name: 'billet-nixos-switch-7.service',
    argv: ['/nix/store/x/bin/switch-to-configuration', 'switch'],
    environment: { NIXOS_INSTALL_BOOTLOADER: '0' },
    timeoutSeconds: 600,
  });
  for (const word of [
    '--unit=billet-nixos-switch-7.service',
    '--no-block',
    '--service-type=oneshot',
    '--property=RemainAfterExit=yes',
    '--property=TimeoutStartSec=600s',
    '--setenv=NIXOS_INSTALL_BOOTLOADER=0',
  ])
    assert.ok(argv.includes(word), word);
  const end = argv.slice(argv.indexOf('--'));
  assert.deepEqual(end, ['--', '/nix/store/x/bin/switch-to-configuration', 'switch']);
});

test('what systemctl show says is one of five states; a queued job is one that runs', () => {
  const state = (text: string) => parseState(text.split(' ').join('\n'));
  const running = { kind: 'running' };
  assert.deepEqual(state('LoadState=not-found ActiveState=inactive'), { kind: 'none' });
  assert.deepEqual(state('LoadState=loaded ActiveState=inactive Job=12'), running);
  assert.deepEqual(state('LoadState=loaded ActiveState=inactive Job=0'), { kind: 'none' });
  assert.deepEqual(state('LoadState=loaded ActiveState=activating Job=12'), running);
  assert.deepEqual(state('LoadState=loaded ActiveState=active Job='), { kind: 'succeeded' });
  assert.deepEqual(state('LoadState=loaded ActiveState=failed Result=exit-code ExecMainStatus=4'), {
    kind: 'failed',
    exitCode: 4,
  });
  assert.deepEqual(state('LoadState=loaded ActiveState=failed Result=timeout ExecMainStatus=15'), {
    kind: 'timed-out',
  });
});

test('a unit that is not there is forgotten already; one that cannot be stopped is an error', async () => {
  const said: Argv[] = [];
  const answering = (stderr: string) =>
    systemdDetached({
      async exec(argv) {
        said.push(argv);
        return { code: 5, stdout: '', stderr };
      },
    });
  await answering('Failed to stop a.service: Unit a.service not loaded.').forget(
    'a.service',
    never,
  );
  assert.deepEqual(
    said.map(([, verb]) => verb),
    ['stop', 'reset-failed'],
  );
  await assert.rejects(answering('Access denied').forget('a.service', never), {
    code: 'COMMAND_FAILED',
  });
});
