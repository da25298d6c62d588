// The route table as an OpenAPI 3.1 document. Adds nothing that the table does not say, but what holds
// for every route: who may call, how errors look, which headers there are.

import { CODES } from '#shared/error-codes.ts';
import type { Route } from '#shared/routes/route.ts';
import { VERSION } from '#shared/version.ts';
import { type Json, type SchemaCollector, schemaCollector } from './openapi-schemas.ts';

/** OpenAPI 3.1.1, whose schemas are JSON Schema 2020-12. */
export function openapiDocument(routes: Readonly<Record<string, Route>>) {
  const collector = schemaCollector();
  const made: Record<string, Json> = {};
  for (const [name, route] of Object.entries(routes))
    made[route.path] = {
      ...made[route.path],
      [route.method.toLowerCase()]: operation(name, route, collector),
    };
  const { document: paths, schemas } = collector.finish(made);
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
      headers: { ETag: ETAG },
      responses: PROBLEMS,
      schemas: { ...schemas, Problem: PROBLEM },
    },
  };
}

function operation(name: string, route: Route, collector: SchemaCollector): Json {
  return {
    operationId: name,
    summary: route.summary,
    tags: [tagOf(route)],
    security: SECURITY[route.caller],
    ...(route.caller === 'anyone' ? {} : { 'x-billet-caller': route.caller }),
    parameters: [
      ...parameters('path', collector.plainSchemaOf(route.params)),
      ...parameters('query', collector.plainSchemaOf(route.query)),
      ...(route.headers ?? []).map((header) => HEADERS[header]),
    ],
    ...requestBody(route, collector),
    responses: { ...success(route, collector), ...failures(route) },
  };
}

const SECURITY: Record<Route['caller'], Json[]> = {
  anyone: [],
  node: [{ certificate: [] }],
  viewer: [{ credential: [] }, { password: [] }],
  operator: [{ credential: [] }, { password: [] }],
  admin: [{ credential: [] }, { password: [] }],
};

const header = (name: string, description: string): Json => ({
  name,
  in: 'header',
  required: false,
  description,
  schema: { type: 'string', maxLength: 256 },
});

const HEADERS: Readonly<Record<NonNullable<Route['headers']>[number], Json>> = {
  'if-none-match': header('If-None-Match', 'an ETag; while it holds, the answer is 304'),
  'if-match': header('If-Match', 'the ETag of the record as it was read; another one is CONFLICT'),
  'last-event-id': header('Last-Event-ID', 'the id of the last event that was seen'),
};

const ETAG: Json = {
  description: 'what If-Match and If-None-Match take',
  schema: { type: 'string' },
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
    hint: { type: 'string', description: 'what a person should run or change next' },
    details: { type: 'object', additionalProperties: true },
    instance: { type: 'string', format: 'uri' },
  },
};

const problemResponse = (description: string): Json => ({
  description,
  content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } },
});

/** One for each status of the error table, which names the codes that bear it. */
const PROBLEMS: Json = Object.fromEntries(
  [...new Set(Object.values(CODES).map(({ status }) => status))].sort().map((status) => {
    const codes = Object.entries(CODES).filter(([, row]) => row.status === status);
    return [`Problem${status}`, problemResponse(codes.map(([code]) => code).join(', '))];
  }),
);

const tagOf = (route: Route) => route.path.split('/')[route.path.startsWith('/v1/') ? 2 : 1] ?? '';

function parameters(where: 'path' | 'query', schema: Json): Json[] {
  const { properties = {}, required = [] } = schema as {
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

function requestBody(route: Route, { schemaOf }: SchemaCollector): Json {
  if (route.method === 'GET') return {};
  const schema = schemaOf(route.body, 'input');
  return {
    requestBody: {
      required: !route.body.safeParse(undefined).success,
      content: { 'application/json': { schema } },
    },
  };
}

function success(route: Route, { schemaOf }: SchemaCollector): Json {
  if (route.form === 'socket')
    return { 101: { description: 'a WebSocket of heartbeats, replies and nudges' } };
  const type =
    route.form === 'events'
      ? 'text/event-stream'
      : route.form === 'text'
        ? 'text/plain'
        : route.form === 'bytes'
          ? 'application/octet-stream'
          : 'application/json';
  const etag = route.etag ? { headers: { ETag: { $ref: '#/components/headers/ETag' } } } : {};
  return {
    [String(route.status ?? 200)]: {
      description: 'done',
      ...etag,
      content: { [type]: { schema: schemaOf(route.reply, 'output') } },
    },
    ...(route.headers?.includes('if-none-match')
      ? { 304: { description: 'nothing has changed', ...etag } }
      : {}),
  };
}

/** What may go wrong with such a route, and `default` for what else there is. */
function failures(route: Route): Json {
  const takesBody = route.method !== 'GET';
  const named = Object.keys(route.params.shape).length > 0;
  const statuses = [
    400,
    ...(route.caller === 'anyone' ? [] : [401, 403]),
    ...(named ? [404] : []),
    ...(takesBody ? [409, 413] : []),
    429,
    500,
    503,
  ];
  const refs = statuses.map((status) => [
    String(status),
    { $ref: `#/components/responses/Problem${status}` },
  ]);
  return {
    ...Object.fromEntries(refs),
    default: problemResponse('what went wrong, and what to do'),
  };
}
