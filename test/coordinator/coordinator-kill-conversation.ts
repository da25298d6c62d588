// Everything that operators and nodes do with a coordinator, one call after the other, each made again
// by whoever made it when the coordinator dies: as the agent (the same request) or as a person at the
// command line (the command again, and what its answer says to do).

import { Agent } from 'undici';
import type { NodeKey } from '../../agent/identity/key.ts';
import { type RouteClient, routeClient } from '../../shared/client/route-client.ts';
import { BilletError } from '../../shared/errors.ts';
import { routes } from '../../shared/routes/table.ts';
import type { Heartbeat } from '../../shared/schema/heartbeat.ts';
import { CredentialName, InstanceId, NodeName } from '../../shared/schema/ids.ts';
import { NodeSpec } from '../../shared/schema/records.ts';
import type { TaskSpec } from '../../shared/schema/task.ts';
import {
  BOOT_A,
  BOOT_B,
  bodyOf,
  csrOf,
  FACTS,
  heartbeatOf,
  newKey,
} from './coordinator-fixture.ts';
import type { Host } from './coordinator-kill-host.ts';

/** What a call was for, and whether its coordinator died under it. */
export interface Told {
  readonly interrupted: readonly string[];
  /** Certificates by what they were for: the same key and token give the same one. */
  readonly certificates: readonly string[];
}

const LOGS: TaskSpec = { kind: 'collect-logs', lines: 10 };
const TIMEOUT_MS = 5_000;

export async function converse(host: Host): Promise<Told> {
  const { ca, credential } = await host.context();
  const interrupted: string[] = [];
  const agents: Agent[] = [];

  function client(key?: NodeKey, certificate?: string): RouteClient {
    const identity = key === undefined ? {} : { key: key.pem, cert: certificate };
    const agent = new Agent({ connect: { ca, ...identity }, pipelining: 1 });
    agents.push(agent);
    const headers =
      key === undefined
        ? { authorization: `Bearer ${credential}` }
        : ({} as Record<string, string>);
    return routeClient({ dispatcher: agent, baseUrl: host.url, headers });
  }

  /** Until it is answered; `again` is what is done instead once an answer was lost. */
  async function step<T>(name: string, call: () => Promise<T>, again = call): Promise<T> {
    for (let attempt = call; ; attempt = again)
      try {
        return await attempt();
      } catch (error) {
        const isDown = error instanceof BilletError && DOWN.has(error.code);
        if (!isDown || interrupted.length > 2) throw error;
        interrupted.push(name);
        await host.revive();
      }
  }
  const DOWN = new Set(['LINK_DOWN', 'TIMEOUT', 'UNAVAILABLE']);
  const timeoutMs = TIMEOUT_MS;
  const admin = client();
  try {
    const name = NodeName.parse('web-1');
    const spec = (labels: Record<string, string>) =>
      NodeSpec.parse({ macs: ['52:54:00:00:00:01'], labels });
    const create = (body: { name: NodeName; spec: NodeSpec }) =>
      admin.call(routes.createNode, { body, timeoutMs });
    await step('node', () => create({ name, spec: spec({ a: '1' }) }));
    const spare = NodeName.parse('spare');
    await step('node', () => create({ name: spare, spec: NodeSpec.parse({}) }));

    const makeInstance = async () =>
      bodyOf(await admin.call(routes.createInstance, { params: { name }, body: {}, timeoutMs })).id;
    const instance = await step('instance', makeInstance, () =>
      makeInstance().catch((error) => {
        // The answer names the one that there is.
        if (error instanceof BilletError && error.code === 'CONFLICT')
          return InstanceId.parse(error.details.instance);
        throw error;
      }),
    );

    const token = () =>
      step('token', async () =>
        bodyOf(await admin.call(routes.createToken, { body: { instance }, timeoutMs })),
      );
    const key = newKey();
    const enroll = (secret: string, by: NodeKey) =>
      step('enrollment', async () => {
        const body = { instance, token: secret, csr: csrOf(by, instance), facts: FACTS };
        return bodyOf(await client(key, '').call(routes.enroll, { body, timeoutMs })).certificate;
      });
    const first = await token();
    const certificate = await enroll(first.secret, key);
    const again = await enroll(first.secret, key);
    const node = client(key, certificate);

    const beat = (by: RouteClient, fields: Partial<Heartbeat>) =>
      step('heartbeat', () =>
        by.call(routes.heartbeat, { body: heartbeatOf({ phase: 'ready', ...fields }), timeoutMs }),
      );
    await beat(node, { generation: 1 });

    const etag = (await step('read', () => admin.call(routes.getNode, { params: { name } })))?.etag;
    await step('change', () =>
      admin.call(routes.putNodeSpec, {
        params: { name },
        body: spec({ a: '2' }),
        ifMatch: etag ?? '',
        timeoutMs,
      }),
    );
    await step('desired', () => node.call(routes.getDesired, { timeoutMs }));
    await beat(node, { generation: 2 });
    await host.tick();
    await beat(node, { generation: 2 });

    const order = (spec: TaskSpec, idempotencyKey: string) =>
      step('task', async () => {
        const body = { instance, spec, idempotencyKey };
        return bodyOf(await admin.call(routes.createTask, { body, timeoutMs })).id;
      });
    /** As the agent does: what was leased in an answer that got lost is leased again, later. */
    const lease = async () => {
      const ask = () =>
        step('lease', async () =>
          bodyOf(await node.call(routes.leaseTasks, { body: { bootId: BOOT_A }, timeoutMs })),
        );
      const [task] = (await ask()).tasks;
      if (task) return task;
      await host.advance(61_000);
      const [late] = (await ask()).tasks;
      if (!late) throw new Error('a task that nobody gets');
      return late;
    };
    await order(LOGS, 'logs-1');
    const { id, epoch } = await lease();
    await step('renewal', () =>
      node.call(routes.renewTask, { params: { id }, body: { epoch }, timeoutMs }),
    );
    const report = () =>
      step('report', () => {
        const body = { epoch, result: { outcome: 'succeeded' as const, output: 'lines' } };
        return node.call(routes.reportTask, { params: { id }, body, timeoutMs });
      });
    await report();
    await report();
    const cancelled = await order(LOGS, 'logs-2');
    await step('cancel', () =>
      admin.call(routes.cancelTask, { params: { id: cancelled }, body: {}, timeoutMs }),
    );
    await order({ kind: 'reboot', reason: 'kernel' }, 'reboot-1');
    await lease();
    await beat(node, { generation: 2, bootId: BOOT_B });

    await step('certificate renewal', () =>
      node.call(routes.renewCertificate, { body: { csr: csrOf(key, instance) }, timeoutMs }),
    );
    const serial = bodyOf(
      await step('read', () => admin.call(routes.getInstance, { params: { id: instance } })),
    ).certificate?.serial;
    if (!serial) throw new Error('no serial');
    await step('revocation', () =>
      admin.call(routes.revokeCertificate, { params: { serial }, body: {}, timeoutMs }),
    );
    const second = await token();
    const otherKey = newKey();
    const renewed = await enroll(second.secret, otherKey);
    const third = await token();
    await step('token revocation', () =>
      admin.call(routes.revokeToken, { params: { id: third.token.id }, body: {}, timeoutMs }),
    );

    const worker = CredentialName.parse('worker');
    const drop = () =>
      admin.call(routes.deleteCredential, { params: { name: worker }, body: {}, timeoutMs });
    const make = () =>
      admin.call(routes.createCredential, { body: { name: worker, role: 'operator' }, timeoutMs });
    await step('credential', make, async () => {
      await drop().catch(gone);
      return await make();
    });
    await step('credential deletion', drop, () => drop().catch(gone));
    await step('termination', () =>
      admin.call(routes.terminateInstance, {
        params: { id: instance },
        body: { force: true },
        timeoutMs,
      }),
    );
    const remove = () =>
      admin.call(routes.deleteNode, { params: { name: spare }, body: {}, timeoutMs });
    await step('node deletion', remove, () => remove().catch(gone));
    return { interrupted, certificates: [certificate, again, renewed] };
  } finally {
    await Promise.all(agents.map((agent) => agent.destroy()));
  }
}

/** What is deleted already is deleted. */
function gone(error: unknown): null {
  if (error instanceof BilletError && error.code === 'NOT_FOUND') return null;
  throw error;
}
