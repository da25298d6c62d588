// How a record lies in the store: `{"v": <version>, "record": …}`. Old versions are migrated as they
// are read; nothing here reads or writes the store.

import { z } from 'zod';
import { BilletError } from '#shared/errors.ts';

/** `migrations[n]` takes a record of version n as it was written, and returns one of n + 1. */
export type Migrations = Readonly<Record<number, (old: unknown) => unknown>>;

const Envelope = z.strictObject({ v: z.int().min(1), record: z.unknown() });

export function recordCodec<T>(options: {
  prefix: string;
  schema: z.ZodType<T>;
  version: number;
  migrations?: Migrations;
}) {
  const { prefix, schema, version, migrations = {} } = options;
  for (let from = 1; from < version; from += 1)
    if (!migrations[from])
      throw new BilletError('INTERNAL', `${prefix} has no migration from version ${from}`, {
        hint: 'add it beside the schema',
      });

  function decode(key: string, value: string): T {
    const envelope = corrupt(key, () => Envelope.parse(JSON.parse(value)));
    if (envelope.v > version)
      throw new BilletError(
        'STORE_NEWER',
        `${key} has version ${envelope.v}, known is ${version}`,
        {
          hint: 'run the version of Billet that wrote this store, or a newer one',
        },
      );
    return corrupt(key, () => {
      let record = envelope.record;
      for (let from = envelope.v; from < version; from += 1) record = migrations[from]?.(record);
      return schema.parse(record);
    });
  }

  return {
    /** STORE_CORRUPT, naming the key, when no version of Billet wrote this; STORE_NEWER. */
    decode,
    /** Parses before it writes, so that nothing gets in that could not be read again. */
    encode: (record: T): string => JSON.stringify({ v: version, record: schema.parse(record) }),
  };
}

function corrupt<R>(key: string, read: () => R): R {
  try {
    return read();
  } catch (cause) {
    throw new BilletError('STORE_CORRUPT', `${key} does not hold a valid record`, {
      hint: 'restore the store from its last good copy, or delete the record if it can be made again',
      cause,
      details: { key },
    });
  }
}
