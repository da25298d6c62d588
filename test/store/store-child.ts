// The process that store-power.peer.ts traces: a real store that commits its workload, and says on
// standard output, by one write each, what it asked for and what was acknowledged.

import { writeSync } from 'node:fs';
import { type SqliteOptions, sqliteStore } from '../../coordinator/store/sqlite.ts';
import { openSqliteFile } from '../../coordinator/store/sqlite-file.ts';
import { COMMITS, groups, REOPENED_AT, RETENTION, writesOf } from './store-workload.ts';

const [path = '', pragmas = ''] = process.argv.slice(2);
const say = (line: string) => writeSync(1, `${line}\n`);

const options: SqliteOptions = {
  path,
  retention: RETENTION,
  open(file) {
    const db = openSqliteFile(file);
    db.exec(pragmas);
    return db;
  },
};

let store = sqliteStore(options);
say(`open ${store.historyId}`);
for (const group of groups()) {
  if (group[0] === REOPENED_AT + 1) {
    await store.close();
    say('closed');
    store = sqliteStore(options);
    say(`open ${store.historyId}`);
  }
  say(`try ${group.at(-1)}`);
  const done = group.map((n) => store.commit([], writesOf(n)));
  for (const [at, n] of group.entries()) {
    const revision = (await done[at])?.revision;
    if (revision !== n) throw new Error(`commit ${n} became revision ${revision}`);
  }
  say(`ack ${group.at(-1)}`);
}
say(`compact ${COMMITS - 5}`);
await store.compact(COMMITS - 5);
await store.close();
say('closed');
