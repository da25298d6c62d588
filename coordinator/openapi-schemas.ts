// The schemas of the OpenAPI document: each that has a name in shared/schema/ stands once, under that
// name, and is referred to; what comes in and what goes out may differ, and then has two names.

import { z } from 'zod';
import * as claim from '#shared/schema/claim.ts';
import * as desired from '#shared/schema/desired.ts';
import * as facts from '#shared/schema/facts.ts';
import * as heartbeat from '#shared/schema/heartbeat.ts';
import * as ids from '#shared/schema/ids.ts';
import * as module from '#shared/schema/module.ts';
import * as records from '#shared/schema/records.ts';
import * as settings from '#shared/schema/settings.ts';
import * as task from '#shared/schema/task.ts';

export type Json = Record<string, unknown>;
/** Of a request, where defaults may be left out; or of a reply, where they are there. */
export type Direction = 'input' | 'output';

const names = z.registry<{ readonly id: string }>();
for (const file of [claim, desired, facts, heartbeat, ids, module, records, settings, task])
  for (const [id, schema] of Object.entries(file))
    if (schema instanceof z.ZodType) names.add(schema, { id });

const HERE = '#/$defs/';
const SHARED = '#/components/schemas/';
const JSON_VALUE = 'JsonValue';

export interface SchemaCollector {
  /** JSON Schema 2020-12, with references to what `components` has at the end. */
  schemaOf(schema: z.ZodType, direction: Direction): Json;
  /** What a parameter says: without references, for many programs read none there. */
  plainSchemaOf(schema: z.ZodObject): Json;
  /** For `components.schemas`. Changes the references in `document`, which was made with this. */
  finish<T>(document: T): { readonly document: T; readonly schemas: Json };
}

export function schemaCollector(): SchemaCollector {
  const collected: Record<Direction, Json> = { input: {}, output: {} };
  return {
    schemaOf(schema, direction) {
      const { $defs = {}, ...rest } = jsonSchema(schema, direction, names);
      const all = referring({ rest, $defs }, direction);
      Object.assign(collected[direction], all.$defs);
      return all.rest;
    },

    plainSchemaOf: (schema) => jsonSchema(schema, 'input', z.registry()),

    finish(document) {
      const two = differing(collected);
      const name = (id: string) => {
        const [base = '', direction] = id.split('.');
        return direction === 'input' && two.has(base) ? `${base}Input` : base;
      };
      const renamed = <V>(value: V): V =>
        JSON.parse(
          JSON.stringify(value).replace(
            /"#\/components\/schemas\/([^"]+)"/g,
            (_, id: string) => `"${SHARED}${name(id)}"`,
          ),
        ) as V;
      const schemas: Json = {};
      for (const direction of ['output', 'input'] as const)
        for (const [id, schema] of Object.entries(collected[direction]))
          schemas[name(`${id}.${direction}`)] = renamed(schema);
      return { document: renamed(document), schemas };
    },
  };
}

/** Query values arrive as strings: what a coercion or transform takes in is what is documented. */
function jsonSchema(
  schema: z.ZodType,
  io: Direction,
  metadata: z.core.$ZodRegistry<Record<string, unknown>>,
): Json & { $defs?: Json } {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, {
    io,
    metadata,
    target: 'draft-2020-12',
    unrepresentable: 'any',
    override: ({ zodSchema, jsonSchema: made }) => {
      const { def } = zodSchema._zod;
      if (def.type === 'number' && 'coerce' in def && def.coerce) made.type = 'integer';
      // A newer coordinator may say more: clients ignore what they do not know.
      if (io === 'output' && made.additionalProperties === false) delete made.additionalProperties;
      delete made.id;
      // Says the same as the format, in 300 characters.
      if (made.format === 'date-time') delete made.pattern;
    },
  }) as Json;
  return rest;
}

/** References to named schemas carry their direction, until it is known which of them differ. */
function referring<T extends { readonly rest: Json; readonly $defs: Json }>(
  made: T,
  direction: Direction,
): T {
  const text = JSON.stringify(made)
    // z.json(), which refers to itself and has no name of its own.
    .replace(/"#\/\$defs\/__schema\d+"/g, `"${SHARED}${JSON_VALUE}.${direction}"`)
    .replace(/"__schema\d+":/g, `"${JSON_VALUE}":`)
    .replace(/"#\/\$defs\/([^"]+)"/g, (_, id: string) => `"${SHARED}${id}.${direction}"`);
  if (text.includes(HERE)) throw new TypeError('a schema refers to what is not there');
  return JSON.parse(text) as T;
}

/** Names whose schema is another for requests than for replies, or refers to one that is. */
function differing({ input, output }: Record<Direction, Json>): ReadonlySet<string> {
  const plain = (value: unknown) => JSON.stringify(value)?.replace(/\.(in|out)put"/g, '"');
  const both = Object.keys(input).filter((id) => id in output);
  const two = new Set(both.filter((id) => plain(input[id]) !== plain(output[id])));
  for (let size = -1; size !== two.size; ) {
    size = two.size;
    for (const id of both)
      for (const [, other = ''] of (plain(input[id]) ?? '').matchAll(/schemas\/([^"]+)"/g))
        if (two.has(other)) two.add(id);
  }
  return two;
}
