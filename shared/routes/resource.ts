// What every kind of the catalogue can be asked: created, listed, shown, changed, deleted. The rows
// of one kind are made here, and named in its own file.

import { z } from 'zod';
import { ResourceName } from '../schema/ids.ts';
import { empty, none, pageOf, pageQuery } from './common.ts';
import type { Route } from './route.ts';

const SPEC_BYTES_MAX = 256 * 1024;

const params = z.strictObject({ name: ResourceName });

/** `/v1/<path>`, for records of `spec` that are shown as `record`. */
export const resourceRoutes = <Spec extends z.ZodType, View extends z.ZodType>(of: {
  readonly path: string;
  /** With its article: `a platform`. */
  readonly one: string;
  readonly many: string;
  readonly spec: Spec;
  readonly record: View;
}) => ({
  create: {
    method: 'POST',
    path: `/v1/${of.path}`,
    caller: 'operator',
    summary: `Create ${of.one}; the same request again returns the same record`,
    params: none,
    query: none,
    body: z.strictObject({
      name: ResourceName,
      spec: of.spec,
      set: ResourceName.nullable().default(null),
    }),
    reply: of.record,
    status: 201,
    bodyBytesMax: SPEC_BYTES_MAX,
    etag: true,
  } as const satisfies Route,

  list: {
    method: 'GET',
    path: `/v1/${of.path}`,
    caller: 'viewer',
    summary: `List ${of.many}`,
    params: none,
    query: pageQuery.extend({ set: ResourceName.optional() }),
    body: none,
    reply: pageOf(of.record),
  } as const satisfies Route,

  get: {
    method: 'GET',
    path: `/v1/${of.path}/{name}`,
    caller: 'viewer',
    summary: `Show ${of.one}`,
    params,
    query: none,
    body: none,
    reply: of.record,
    etag: true,
  } as const satisfies Route,

  /** With If-Match, only when the record is still at that revision. */
  put: {
    method: 'PUT',
    path: `/v1/${of.path}/{name}/spec`,
    caller: 'operator',
    summary: `Change ${of.one}; nodes that are made from it get a new generation`,
    params,
    query: none,
    body: of.spec,
    reply: of.record,
    bodyBytesMax: SPEC_BYTES_MAX,
    headers: ['if-match'],
    etag: true,
  } as const satisfies Route,

  remove: {
    method: 'DELETE',
    path: `/v1/${of.path}/{name}`,
    caller: 'operator',
    summary: `Delete ${of.one} that nothing uses`,
    params,
    query: none,
    body: empty,
    reply: empty,
  } as const satisfies Route,
});
