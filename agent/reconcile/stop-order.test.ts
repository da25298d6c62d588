import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ModuleName } from '#shared/schema/module.ts';
import { stopOrder } from './stop-order.ts';

const named = (name: string, ...requires: string[]) => ({
  name: ModuleName.parse(name),
  requires: requires.map((each) => ModuleName.parse(each)),
});

test('what needs another module stops before it', () => {
  const modules = [named('db'), named('web', 'app'), named('app', 'db', 'absent'), named('aside')];
  assert.deepEqual(stopOrder(modules), ['aside', 'web', 'app', 'db']);
});

test('every module stops once, circles or not, and in order where there is one', async () => {
  const letters = fc.constantFrom('a', 'b', 'c', 'd', 'e');
  const sets = fc.uniqueArray(fc.record({ name: letters, requires: fc.array(letters) }), {
    selector: ({ name }) => name,
  });
  await fc.assert(
    fc.property(sets, (found) => {
      const modules = found.map(({ name, requires }) => named(name, ...requires));
      const order = stopOrder(modules);
      assert.deepEqual([...order].sort(), modules.map(({ name }) => name).sort());
      const isAcyclic = modules.every(({ name, requires }) =>
        requires.every((each) => each < name),
      );
      for (const { name, requires } of isAcyclic ? modules : [])
        for (const each of requires)
          if (order.includes(each)) assert.ok(order.indexOf(name) < order.indexOf(each));
    }),
  );
});
