// Operator side: tasks, events, and what there is in all.

import { BilletError } from '#shared/errors.ts';
import { routes } from '#shared/routes/table.ts';
import { VERSION } from '#shared/version.ts';
import { countAhead } from '../backup/held.ts';
import { INDEX } from '../claims/records.ts';
import { eventStream } from '../events/stream.ts';
import { waitsForPlan } from '../nodes/lifecycle-deadlines.ts';
import { openapiDocument } from '../openapi.ts';
import type { Records } from '../records.ts';
import type { Handlers } from '../router.ts';
import { taskView } from '../tasks/records.ts';
import { cancelTask, createTask, getTask } from '../tasks/task-writes.ts';
import { actorOf } from './handler.ts';
import { listPage } from './page.ts';

type TaskHandlers = Pick<Handlers, 'createTask' | 'listTasks' | 'getTask' | 'cancelTask'>;
type StateHandlers = Pick<
  Handlers,
  'watchEvents' | 'getStatus' | 'getHealth' | 'getReady' | 'getOpenapi'
>;

export const taskHandlers: TaskHandlers = {
  createTask: async ({ caller, body }, { records }) => ({
    body: taskView(await createTask(records, actorOf(caller), body)),
  }),
  listTasks: async ({ query }, { records }) => ({
    body: await listPage(
      records.tasks,
      query,
      ({ record }) => taskView(record),
      (record) =>
        (query.instance ?? record.instance) === record.instance &&
        (query.state ?? record.state) === record.state,
    ),
  }),
  getTask: async ({ params }, { records }) => ({
    body: taskView((await getTask(records, params.id)).record),
  }),
  cancelTask: async ({ caller, params }, { records }) => ({
    body: taskView(await cancelTask(records, actorOf(caller), params.id)),
  }),
};

export const stateHandlers: StateHandlers = {
  async watchEvents({ query, lastEventId, signal }, { records }) {
    const { after, follow, subject } = query;
    const resumed = lastEventId === null ? after : revisionOf(lastEventId);
    return { stream: eventStream(records, { after: resumed, follow, subject }, signal) };
  },

  async getStatus(_, { records, authority, live, clock }) {
    const { waiting = 0, ...others } = await countBy(records.instances, (one) =>
      waitsForPlan(one) ? 'waiting' : one.state,
    );
    const { installing = 0 } = others;
    const instances = waiting === 0 ? others : { ...others, installing: installing + waiting };
    const claims = (await records.claimIndex.get(INDEX))?.record.claims ?? [];
    const { open = 0, acknowledged = 0 } = await countBy(records.signals, ({ state }) => state);
    const { revision } = await records.store.get('status');
    return {
      body: {
        version: VERSION,
        history: records.store.historyId,
        revision,
        ca: authority.fingerprint,
        nodes: (await countBy(records.nodes, () => 'all')).all ?? 0,
        instances,
        connected: live.connectedCount(),
        openTasks: await countOpenTasks(records),
        ahead: await countAhead(records),
        openSignals: open + acknowledged,
        openClaims: claims.filter((one) => one.state === 'open' && one.expiresAt > clock.now())
          .length,
        waitingInstalls: waiting,
      },
    };
  },

  getHealth: async () => ({ body: { status: 'ok' } }),

  async getReady(_, { isReady, records }) {
    if (isReady()) {
      await records.store.check();
      return { body: { status: 'ok' } };
    }
    throw new BilletError('UNAVAILABLE', 'the coordinator is starting or stopping', {
      hint: 'ask again in a moment',
      details: { retryAfterSeconds: 1 },
    });
  },

  getOpenapi: async () => ({ body: document }),
};

const document = openapiDocument(routes);

function revisionOf(lastEventId: string): number {
  if (/^\d{1,15}$/.test(lastEventId)) return Number(lastEventId);
  throw new BilletError('BODY_INVALID', 'Last-Event-ID is no revision', {
    hint: 'send the id of the last event that was seen, or none',
  });
}

async function countBy<T>(
  source: { all(): AsyncIterable<{ readonly record: T }> },
  name: (record: T) => string,
): Promise<Record<string, number>> {
  const counts: Record<string, number> = {};
  for await (const { record } of source.all())
    counts[name(record)] = (counts[name(record)] ?? 0) + 1;
  return counts;
}

async function countOpenTasks(records: Records): Promise<number> {
  let open = 0;
  for await (const { record } of records.queues.all()) open += record.open.length;
  return open;
}
