// Metadata services that speak the protocols of EC2, GCE, Azure and OpenStack as their pages describe
// them, with their refusals. Made for tests: each is named FAKE, and serves on loopback only.

import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { discoverIdentity } from '../../agent/identity/discover.ts';
import { MetadataUrls, standardStrategies } from '../../agent/identity/strategies.ts';

export interface FakeReply {
  readonly status: number;
  readonly body: string;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface FakeService {
  readonly url: string;
  /** `METHOD path status`, in order. */
  readonly log: string[];
}

type Respond = (request: IncomingMessage, path: string, query: URLSearchParams) => FakeReply | null;

/** `respond` gives null to say nothing at all, as a service behind a firewall does. */
export async function fakeService(t: TestContext, respond: Respond): Promise<FakeService> {
  const log: string[] = [];
  const server = createServer((request, response) => {
    const url = new URL(request.url ?? '/', 'http://fake');
    const reply = respond(request, url.pathname, url.searchParams);
    log.push(`${request.method} ${url.pathname} ${reply?.status ?? '-'}`);
    if (reply === null) return;
    response.writeHead(reply.status, { server: 'FAKE', ...reply.headers }).end(reply.body);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, log };
}

const ok = (body: string, headers = {}): FakeReply => ({ status: 200, body, headers });
const refuse = (status: number, body = ''): FakeReply => ({ status, body });

/**
 * EC2 User Guide, "Use the Instance Metadata Service to access instance metadata" and "How Instance
 * Metadata Service Version 2 works": PUT with a TTL of 1 to 21600 s (400 otherwise), 403 for a PUT
 * with X-Forwarded-For, 401 for a GET with no, an unknown or an expired token, 404 where there is
 * nothing.
 */
export function ec2(files: Readonly<Record<string, string>>, options: { usesOf?: number } = {}) {
  const tokens = new Map<string, number>();
  const { usesOf = Number.POSITIVE_INFINITY } = options;
  return (request: IncomingMessage, path: string): FakeReply => {
    const { headers, method } = request;
    if (path === '/latest/api/token') {
      if (method !== 'PUT') return refuse(405);
      if (headers['x-forwarded-for'] !== undefined) return refuse(403);
      const ttl = Number(headers['x-aws-ec2-metadata-token-ttl-seconds']);
      if (!(ttl >= 1 && ttl <= 21_600)) return refuse(400);
      const token = `AQAAAN${'x'.repeat(40)}${tokens.size}==`;
      tokens.set(token, usesOf);
      return ok(token, { 'x-aws-ec2-metadata-token-ttl-seconds': String(ttl) });
    }
    const token = String(headers['x-aws-ec2-metadata-token'] ?? '');
    const left = tokens.get(token) ?? 0;
    if (left <= 0) return refuse(401, '<title>401 - Unauthorized</title>');
    tokens.set(token, left - 1);
    const body = files[path];
    return body === undefined ? refuse(404, '<title>404 - Not Found</title>') : ok(body);
  };
}

/**
 * Compute Engine, "View and query VM metadata" ("Parts of a metadata request") and "Troubleshooting
 * metadata server access": Metadata-Flavor: Google in both directions, 403 without it or with
 * X-Forwarded-For, 404 for an unknown key.
 */
export function gce(files: Readonly<Record<string, string>>) {
  const flavor = { 'Metadata-Flavor': 'Google', Server: 'Metadata Server for VM' };
  return ({ headers }: IncomingMessage, path: string): FakeReply => {
    const flavored = headers['metadata-flavor'] === 'Google';
    if (!flavored || headers['x-forwarded-for'] !== undefined)
      return { status: 403, body: 'Missing Metadata-Flavor:Google header.', headers: flavor };
    const body = files[path];
    return body === undefined
      ? { status: 404, body: 'Error 404 (Not Found)', headers: flavor }
      : ok(body, flavor);
  };
}

/**
 * "Azure Instance Metadata Service": Security and authentication (Metadata: true, no X-Forwarded-For),
 * Versions (api-version, 400 with newest-versions), Errors and debugging (400, 404, 405).
 */
export function azure(files: Readonly<Record<string, string>>) {
  const bad = (error: string, more = {}) => refuse(400, JSON.stringify({ error, ...more }));
  return ({ headers, method }: IncomingMessage, path: string, query: URLSearchParams) => {
    if (method !== 'GET') return refuse(405);
    if (headers['x-forwarded-for'] !== undefined)
      return bad('Bad request. X-Forwarded-For header is not allowed');
    if (headers.metadata !== 'true')
      return bad('Bad request. Required metadata header not specified');
    if (!query.has('api-version'))
      return bad('Bad request. api-version was not specified in the request', {
        'newest-versions': ['2021-02-01', '2021-01-01', '2020-12-01'],
      });
    const body = files[`${path}?format=${query.get('format')}`];
    return body === undefined ? refuse(404, JSON.stringify({ error: 'Not found' })) : ok(body);
  };
}

/** Nova user guide, "Metadata": the tree below /openstack/latest, 404 for what is not there. */
export function openstack(files: Readonly<Record<string, string>>) {
  return (_: IncomingMessage, path: string): FakeReply => {
    const body = files[path.replace('/openstack/latest/', '')];
    return body === undefined ? refuse(404, '404 Not Found') : ok(body);
  };
}

export const WHOLE = {
  coordinator: 'https://10.0.2.2:8443',
  ca: `sha256:${'a'.repeat(64)}`,
  instance: 'i-0123456789abcdef',
  token: 'T'.repeat(43),
};
export const USER_DATA = JSON.stringify(WHOLE);

type Dmi = Partial<
  Record<'sys_vendor' | 'product_name' | 'product_uuid' | 'chassis_asset_tag', string>
>;

export const DMI = {
  ec2: { sys_vendor: 'Amazon EC2', product_uuid: 'ec2e1916-9099-7caf-fd21-012345abcdef' },
  gce: { sys_vendor: 'Google', product_name: 'Google Compute Engine' },
  azure: {
    sys_vendor: 'Microsoft Corporation',
    chassis_asset_tag: '7783-7084-3265-9085-8269-3286-77',
  },
  openstack: { sys_vendor: 'OpenStack Foundation', product_name: 'OpenStack Nova' },
} satisfies Record<string, Dmi>;

/** What a machine with this firmware finds, with a service of `cloud` at `url`. */
export async function discover(
  t: TestContext,
  dmi: Dmi,
  urls: Partial<MetadataUrls>,
  files: Readonly<Record<string, string>> = {},
) {
  const root = await mkdtemp(join(tmpdir(), 'billet-cloud-'));
  t.after(() => rm(root, { recursive: true }));
  const put = async (path: string, text: string) => {
    await mkdir(join(root, path, '..'), { recursive: true });
    await writeFile(join(root, path), text);
  };
  for (const [name, value] of Object.entries(dmi))
    await put(`sys/class/dmi/id/${name}`, `${value}\n`);
  for (const [path, text] of Object.entries(files)) await put(path, text);
  const nowhere = 'http://127.0.0.1:1';
  const all = { ec2: nowhere, gce: nowhere, azure: nowhere, openstack: nowhere };
  const strategies = standardStrategies({ root, urls: MetadataUrls.parse({ ...all, ...urls }) });
  return await discoverIdentity(strategies, new AbortController().signal);
}
