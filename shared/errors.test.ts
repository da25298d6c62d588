import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inspect } from 'node:util';
import { BilletError } from './errors.ts';

test('an error of another bundle is one as well: the command prints the hint of the agent it loaded', async () => {
  const second: unknown = await import(`./errors.ts?again=${process.pid}`);
  const { BilletError: Other } = second as { readonly BilletError: typeof BilletError };
  assert.notEqual(Other, BilletError);
  const error = new Other('CONFLICT', 'x', { hint: 'y' });
  assert.ok(error instanceof BilletError && error.code === 'CONFLICT' && error.status === 409);
  for (const stranger of [new Error('x'), null, undefined, 'CONFLICT', { code: 'CONFLICT' }])
    assert.ok(!((stranger as unknown) instanceof BilletError), inspect(stranger));
});
