// What the tests of the coordinator share: a real one in this process, an operator's client, and
// nodes that enroll and speak mTLS like an agent does.

import { generateKeyPairSync } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Agent, request } from 'undici';
import type { NodeKey } from '../../agent/identity/key.ts';
import type { ConfigInput } from '../../coordinator/config.ts';
import { silentLog } from '../../coordinator/log.ts';
import {
  type Coordinator,
  type CoordinatorOptions,
  startCoordinator,
} from '../../coordinator/main.ts';
import { type RouteClient, routeClient } from '../../shared/client/route-client.ts';
import { type Clock, systemClock } from '../../shared/clock.ts';
import { createCsr } from '../../shared/csr.ts';
import { routes } from '../../shared/routes/table.ts';
import { Facts } from '../../shared/schema/facts.ts';
import { Heartbeat } from '../../shared/schema/heartbeat.ts';
import { type InstanceId, NodeName } from '../../shared/schema/ids.ts';
import { NodeSpec } from '../../shared/schema/records.ts';

export const FACTS = Facts.parse({
  architecture: 'x86_64',
  kernelRelease: '6.12.0',
  firmware: 'bios',
  secureBoot: false,
  cpuCount: 2,
  memoryBytes: 2 ** 31,
  macs: ['52:54:00:12:34:56'],
  disks: [],
});

export const BOOT_A = '11111111-1111-4111-8111-111111111111';
export const BOOT_B = '22222222-2222-4222-8222-222222222222';

export const heartbeatOf = (fields: Partial<Heartbeat> = {}): Heartbeat =>
  Heartbeat.parse({
    bootId: BOOT_A,
    agentVersion: '0.1.0',
    uptimeSeconds: 1,
    phase: 'booting',
    generation: 0,
    ...fields,
  });

export interface TestClock extends Clock {
  /** Somebody sets the clock. */
  advance(ms: number): void;
  /** Time goes by. */
  pass(ms: number): void;
}

/** The real time, and what a test adds to it. */
export function movableClock(): TestClock {
  let [offset, passed] = [0, 0];
  return {
    ...systemClock,
    now: () => systemClock.now() + offset,
    monotonic: () => systemClock.monotonic() + passed,
    advance(ms) {
      offset += ms;
    },
    pass(ms) {
      offset += ms;
      passed += ms;
    },
  };
}

export interface Fixture {
  readonly stateDir: string;
  readonly clock: TestClock;
  readonly ca: string;
  readonly credential: string;
  coordinator: Coordinator;
  readonly admin: RouteClient;
  client(options?: ClientOptions): { readonly client: RouteClient; readonly agent: Agent };
  /** A node of that name with an instance, not enrolled. */
  instance(name: string, spec?: object): Promise<InstanceId>;
  token(instance: InstanceId): Promise<string>;
  /** An enrolled node. */
  node(name: string, spec?: object): Promise<TestNode>;
  close(): Promise<void>;
}

export interface ClientOptions {
  readonly key?: string;
  readonly certificate?: string;
  readonly credential?: string;
}

export interface TestNode {
  readonly id: InstanceId;
  readonly key: NodeKey;
  readonly certificate: string;
  readonly client: RouteClient;
  readonly agent: Agent;
}

export function newKey(): NodeKey {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  const pem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  return { privateKey, publicKey, pem };
}

export const csrOf = (key: NodeKey, instance: string | null): string => createCsr(key, instance);

export async function startFixture(
  config: Partial<ConfigInput> = {},
  options: Pick<CoordinatorOptions, 'log' | 'openStore'> = {},
): Promise<Fixture> {
  const stateDir = await mkdtemp(join(tmpdir(), 'billet-coordinator-'));
  const clock = movableClock();
  const input = { stateDir, listen: '127.0.0.1:0', bootListen: '127.0.0.1:0', stopSeconds: 1 };
  const coordinator = await startCoordinator(
    { ...input, ...config },
    { clock, log: silentLog, ...options },
  );
  const context = JSON.parse(await readFile(coordinator.adminContextPath, 'utf8'));
  const agents: Agent[] = [];

  const fixture: Fixture = {
    stateDir,
    clock,
    coordinator,
    ca: context.ca,
    credential: context.credential,
    client({ key, certificate, credential } = {}) {
      const identity = key === undefined ? {} : { key, cert: certificate };
      // As of now: the CA may have been rotated.
      const { ca } = JSON.parse(readFileSync(fixture.coordinator.adminContextPath, 'utf8'));
      const agent = new Agent({ connect: { ca, ...identity }, pipelining: 1 });
      agents.push(agent);
      const headers = credential === undefined ? {} : { authorization: `Bearer ${credential}` };
      const baseUrl = fixture.coordinator.url;
      return { agent, client: routeClient({ dispatcher: agent, baseUrl, headers }) };
    },
    get admin() {
      return fixture.client({ credential: context.credential }).client;
    },
    async instance(name, spec = {}) {
      const body = { name: NodeName.parse(name), spec: NodeSpec.parse(spec) };
      await fixture.admin.call(routes.createNode, { body });
      const made = await fixture.admin.call(routes.createInstance, {
        params: { name: body.name },
        body: {},
      });
      return bodyOf(made).id;
    },
    async token(instance) {
      return bodyOf(await fixture.admin.call(routes.createToken, { body: { instance } })).secret;
    },
    async node(name, spec = {}) {
      const id = await fixture.instance(name, spec);
      const key = newKey();
      const body = {
        instance: id,
        token: await fixture.token(id),
        csr: csrOf(key, id),
        facts: FACTS,
      };
      const { certificate } = bodyOf(await fixture.client().client.call(routes.enroll, { body }));
      return { id, key, certificate, ...fixture.client({ key: key.pem, certificate }) };
    },
    async close() {
      await Promise.all(agents.map((agent) => agent.destroy()));
      await fixture.coordinator.stop();
      await rm(stateDir, { recursive: true });
    },
  };
  return fixture;
}

export function bodyOf<T>(reply: { readonly body: T } | null): T {
  if (reply === null) throw new Error('304 where a body was wanted');
  return reply.body;
}

/** A request as it stands, for what no client of ours would send. */
export async function raw(
  fixture: Fixture,
  path: string,
  options: {
    readonly method?: 'GET' | 'POST' | 'PUT' | 'DELETE' | 'HEAD' | 'PATCH';
    readonly headers?: Record<string, string>;
    readonly body?: string | Buffer;
    readonly agent?: Agent;
  } = {},
) {
  const { agent: dispatcher = fixture.client().agent, method = 'GET', ...rest } = options;
  const response = await request(`${fixture.coordinator.url}${path}`, {
    dispatcher,
    method,
    ...rest,
  });
  const text = await response.body.text();
  const isJson = /json/.test(String(response.headers['content-type']));
  return {
    status: response.statusCode,
    headers: response.headers,
    text,
    json: isJson && text !== '' ? JSON.parse(text) : null,
  };
}
