// Reading and writing the names of instances.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { InstanceId } from './schema/ids.ts';
import { instanceUri, parseInstanceUri, TrustDomain } from './spiffe.ts';

const id = {
  trustDomain: TrustDomain.parse('billet.example'),
  instance: InstanceId.parse('i-0123456789abcdef'),
};

test('a name is read as it was written', () => {
  assert.equal(instanceUri(id), 'spiffe://billet.example/instance/i-0123456789abcdef');
  assert.deepEqual(parseInstanceUri(instanceUri(id)), id);
});

test('anything around, before or after the name makes it no name', () => {
  const uri = instanceUri(id);
  const bad = [
    '',
    ` ${uri}`,
    `${uri}/`,
    `${uri}?x`,
    `${uri}\n`,
    uri.replace('spiffe', 'https'),
    uri.replace('billet.example', 'Billet.Example'),
    uri.replace('billet.example', 'user@billet.example'),
    uri.replace('billet.example', ''),
    uri.replace('/instance/', '/node/'),
    uri.replace('i-0', 'i-A'),
  ];
  for (const each of bad) assert.equal(parseInstanceUri(each), null, JSON.stringify(each));
});
