// The route table as an OpenAPI 3.1 document. Adds nothing that the table does not say.

import { z } from 'zod';
import { CODES } from '#shared/errors.ts';
import type { Route } from '#shared/routes/route.ts';
import { VERSION } from '#shared/version.ts';

type Json = Record<string, unknown>;

/** OpenAPI 3.1.1, whose schemas are JSON Schema 2020-12. */
export function openapiDocument(routes: Readonly<Record<string, Route>>) {
  const paths: Record<string, Json> = {};
  const schemas: Json = { Problem: PROBLEM };
  for (const [name, route] of Object.entries(routes))
    paths[route.path] = {
      ...paths[route.path],
      [route.method.toLowerCase()]: operation(name, route, schemas),
    };
  return {
    openapi: '3.1.1',
    info: {
      title: 'Billet coordinator',
      version: VERSION,
      description: 'Errors are problem documents (RFC 9457); `code` is one of a closed table.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    paths,
    components: {
      securitySchemes: {
        credential: { type: 'http', scheme: 'bearer' },
        password: { type: 'http', scheme: 'basic', description: 'the password is the credential' },
        certificate: { type: 'mutualTLS' },
      },
      schemas,
    },
  };
}

/** Schemas that refer to themselves are moved to `schemas`, under the operation's name. */
function operation(name: string, route: Route, schemas: Json): Json {
  const schemaOf = (schema: z.ZodType, io: 'input' | 'output') =>
    hoist(jsonSchema(schema, io), `${name}_${io}_`, schemas);
  return {
    operationId: name,
    summary: route.summary,
    tags: [tagOf(route)],
    security: SECURITY[route.caller],
    ...(route.caller === 'anyone' ? {} : { 'x-billet-caller': route.caller }),
    parameters: [...parameters('path', route.params), ...parameters('query', route.query)],
    ...requestBody(route, schemaOf),
    responses: {
      ...success(route, schemaOf),
      default: {
        description: 'what went wrong, and what to do',
        content: {
          'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } },
        },
      },
    },
  };
}

const SECURITY: Record<Route['caller'], Json[]> = {
  anyone: [],
  node: [{ certificate: [] }],
  viewer: [{ credential: [] }, { password: [] }],
  operator: [{ credential: [] }, { password: [] }],
  admin: [{ credential: [] }, { password: [] }],
};

const PROBLEM: Json = {
  type: 'object',
  required: ['type', 'title', 'status', 'detail', 'code', 'hint'],
  properties: {
    type: { type: 'string', format: 'uri' },
    title: { type: 'string' },
    status: { type: 'integer' },
    detail: { type: 'string' },
    code: { type: 'string', enum: Object.keys(CODES) },
    hint: { type: 'string' },
    details: { type: 'object' },
    instance: { type: 'string', format: 'uri' },
  },
};

const tagOf = (route: Route) => route.path.split('/')[route.path.startsWith('/v1/') ? 2 : 1] ?? '';

function parameters(where: 'path' | 'query', schema: z.ZodObject): Json[] {
  const { properties = {}, required = [] } = jsonSchema(schema, 'input') as {
    properties?: Record<string, Json>;
    required?: string[];
  };
  return Object.entries(properties).map(([name, property]) => ({
    name,
    in: where,
    required: where === 'path' || required.includes(name),
    schema: property,
  }));
}

type SchemaOf = (schema: z.ZodType, io: 'input' | 'output') => Json;

function requestBody(route: Route, schemaOf: SchemaOf): Json {
  if (route.method === 'GET') return {};
  const schema = schemaOf(route.body, 'input');
  return {
    requestBody: {
      required: !route.body.safeParse(undefined).success,
      content: { 'application/json': { schema } },
    },
  };
}

function success(route: Route, schemaOf: SchemaOf): Json {
  if (route.form === 'socket')
    return { 101: { description: 'a WebSocket of heartbeats, replies and nudges' } };
  const type =
    route.form === 'events'
      ? 'text/event-stream'
      : route.form === 'text'
        ? 'text/plain'
        : 'application/json';
  return {
    [String(route.status ?? 200)]: {
      description: 'done',
      content: { [type]: { schema: schemaOf(route.reply, 'output') } },
    },
  };
}

/** Query values arrive as strings: what a coercion or transform takes in is what is documented. */
function jsonSchema(schema: z.ZodType, io: 'input' | 'output'): Json {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, {
    io,
    target: 'draft-2020-12',
    unrepresentable: 'any',
    override: ({ zodSchema, jsonSchema: made }) => {
      const { def } = zodSchema._zod;
      if (def.type === 'number' && 'coerce' in def && def.coerce) made.type = 'integer';
    },
  }) as Json;
  return rest;
}

/** In OpenAPI a reference is resolved against the whole document, not against the schema it is in. */
function hoist(schema: Json, prefix: string, schemas: Json): Json {
  const text = JSON.stringify(schema).replaceAll('#/$defs/', `#/components/schemas/${prefix}`);
  const { $defs = {}, ...rest } = JSON.parse(text) as Json & { $defs?: Json };
  for (const [name, definition] of Object.entries($defs)) schemas[`${prefix}${name}`] = definition;
  return rest;
}
