import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bareHost } from './bare-host.ts';

test('an IPv6 address of a URL loses its brackets, and no other host changes', () => {
  assert.equal(bareHost(new URL('ipmi://[2001:db8::7]:623').hostname), '2001:db8::7');
  assert.equal(bareHost(new URL('https://bmc.example').hostname), 'bmc.example');
});
