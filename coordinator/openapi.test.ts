import assert from 'node:assert/strict';
import { test } from 'node:test';
import { routes } from '#shared/routes/table.ts';
import { routeMatcher } from './http/match.ts';
import { openapiDocument } from './openapi.ts';
import { handlers } from './routes/handlers.ts';

const document = openapiDocument(routes);

test('every row of the table is an operation, with its parameters and a handler', () => {
  for (const [name, route] of Object.entries(routes)) {
    const path = document.paths[route.path] as Record<string, Record<string, unknown>>;
    const operation = path[route.method.toLowerCase()];
    assert.equal(operation?.operationId, name);
    assert.ok('form' in route && route.form === 'socket' ? true : name in handlers, name);
    const inPath = ((operation?.parameters ?? []) as { name: string; in: string }[])
      .filter((one) => one.in === 'path')
      .map((one) => one.name);
    const wanted = [...route.path.matchAll(/\{(\w+)\}/g)].map(([, key]) => key);
    assert.deepEqual(inPath, wanted, name);
  }
});

test('the document refers to nothing that is not there, and names what is shared', () => {
  assert.match(document.openapi, /^3\.1\./);
  const ids = new Set<string>();
  for (const path of Object.values(document.paths))
    for (const operation of Object.values(path as object) as Record<string, object>[]) {
      ids.add(String(operation.operationId));
      assert.ok(Object.keys(operation.responses ?? {}).length >= 2);
    }
  assert.equal(ids.size, Object.keys(routes).length, 'operation ids are unique');
  const text = JSON.stringify(document);
  for (const [, ref = ''] of text.matchAll(/"\$ref":"#\/([^"]+)"/g)) {
    const found = ref.split('/').reduce<unknown>((at, key) => Object(at)[key], document);
    assert.ok(found, ref);
  }
  assert.doesNotMatch(text, /"\$schema"|"\$defs"|\.(in|out)put"/);
  const { schemas } = document.components;
  for (const name of ['Heartbeat', 'HeartbeatInput', 'Facts', 'JsonValue', 'Problem'])
    assert.ok(name in schemas, name);
  // What is the same in both directions has one name.
  assert.ok(!('EnvelopeInput' in schemas) && !('ConditionInput' in schemas));
});

test('what a newer coordinator adds to a reply is allowed, what an operator makes up is not', () => {
  const schemas = document.components.schemas as Record<string, { additionalProperties?: boolean }>;
  assert.equal(schemas.NodeSpec?.additionalProperties, undefined);
  assert.equal(schemas.NodeSpecInput?.additionalProperties, false);
  assert.equal(schemas.HeartbeatInput?.additionalProperties, undefined);
});

test('a path is matched whole, decoded once, and knows its other methods', () => {
  const match = routeMatcher(routes);
  const found = match('GET', '/v1/nodes/web%2D1');
  assert.ok(found && 'name' in found && found.name === 'getNode' && found.params.name === 'web-1');
  assert.equal(match('GET', '/v1/nodes/a/b'), null);
  assert.equal(match('GET', '/v1/nodes/%ff'), null);
  assert.deepEqual(match('PATCH', '/v1/nodes'), { allow: ['POST', 'GET', 'HEAD'] });
});
