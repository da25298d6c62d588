import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { temporaryDirectory } from '#shared/artifact/signature/testing.ts';
import { sha256 } from '#shared/digest.ts';
import { InstanceId } from '#shared/schema/ids.ts';
import { sqliteStore } from '../store/sqlite.ts';
import { judgeToken, newToken, tokenRecords } from './tokens.ts';

const instance = InstanceId.parse('i-0123456789abcdef');
const [mine, other] = [sha256('my key'), sha256('another key')];
const made = () => newToken({ instance, createdBy: 'operator:anna', now: 1000, ttlMs: 1000 });

test('a token that is of one key serves no other; without that it would', () => {
  const { record, secret } = made();
  const use = (key: typeof mine) => ({ secret, instance, key });
  const bound = { ...record, key: mine };
  assert.equal(judgeToken(bound, use(mine), 1500), null);
  assert.throws(() => judgeToken(bound, use(other), 1500), { code: 'TOKEN_INVALID' });
  assert.equal(judgeToken(record, use(other), 1500), null);
});

test('a token that was stored before tokens had keys is read as one for whichever key comes first', async (t) => {
  const store = sqliteStore({ path: join(await temporaryDirectory(t), 'store.sqlite') });
  t.after(() => store.close());
  const { record } = made();
  const { key: _, ...before } = record;
  const tokens = tokenRecords(store);
  const value = JSON.stringify({ v: 1, record: before });
  await store.commit([], [{ kind: 'put', key: tokens.key(record.id), value }]);
  assert.deepEqual((await tokens.get(record.id))?.record, record);
});
