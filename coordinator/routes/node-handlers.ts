// Node side: enrollment, desired state, heartbeats, and the tasks of the calling node.

import { BilletError } from '#shared/errors.ts';
import type { InstanceId, Serial } from '#shared/schema/ids.ts';
import { heldAt } from '../backup/held.ts';
import type { Deps } from '../deps.ts';
import { isoTime } from '../ids.ts';
import { type Certified, enroll as enrollInstance, renew } from '../nodes/enrollment.ts';
import { getInstance } from '../nodes/instance-writes.ts';
import { isLive } from '../nodes/lifecycle.ts';
import { generationKey, type InstanceRecord } from '../nodes/records.ts';
import { desiredEtag, newestGood } from '../nodes/rules.ts';
import type { Handlers } from '../router.ts';
import {
  leaseTasks as lease,
  renewTask as renewLease,
  reportTask as report,
} from '../tasks/lease-writes.ts';
import { leasedView, secondsLeft } from '../tasks/records.ts';
import type { Caller } from './handler.ts';

type NodeHandlers = Pick<
  Handlers,
  | 'enroll'
  | 'renewCertificate'
  | 'getDesired'
  | 'heartbeat'
  | 'reportInstall'
  | 'leaseTasks'
  | 'renewTask'
  | 'reportTask'
>;

export const nodeHandlers: NodeHandlers = {
  async enroll({ body, address }, deps) {
    const certified = await deps.failures
      .guard(address, () => enrollInstance(deps, body))
      .catch((error) => {
        if (error instanceof BilletError) void deps.comebacks.note(body.instance, error.message);
        throw error;
      });
    return { body: issued(deps, certified) };
  },

  async renewCertificate({ caller, body }, deps) {
    const { id: instance, serial } = nodeOf(caller);
    return { body: issued(deps, await renew(deps, { instance, serial, ...body })) };
  },

  async getDesired({ caller, query, ifNoneMatch, signal }, deps) {
    const { id } = nodeOf(caller);
    const until = AbortSignal.any([signal, AbortSignal.timeout(query.wait * 1000)]);
    const known = new Set(
      (ifNoneMatch ?? '').split(',').flatMap((tag) => tag.trim().replace(/^W\//, '') || []),
    );
    for (;;) {
      const round = new AbortController();
      // Before the read, so that no change falls between the two.
      const changed = deps.live.nextChange(id, AbortSignal.any([until, round.signal]));
      try {
        const record = await liveInstance(deps, id);
        const held = await heldAt(deps.records, id, known);
        const etag = held ?? desiredEtag(record, deps.records.store.historyId);
        if (!known.has(etag)) return { body: await desiredOf(deps, record), etag };
        if (query.wait === 0 || until.aborted) return { unchanged: etag };
        await changed;
      } finally {
        round.abort();
        await changed;
      }
    }
  },

  async heartbeat({ caller, body }, deps) {
    return { body: await deps.live.heartbeat(nodeOf(caller).id, body) };
  },

  async reportInstall({ caller, body }, deps) {
    const instance = await liveInstance(deps, nodeOf(caller).id);
    await deps.installs.take(instance, body);
    return { body: {} };
  },

  async leaseTasks({ caller, body }, { records }) {
    const tasks = await lease(records, nodeOf(caller).id, body);
    const now = records.clock.now();
    return { body: { tasks: tasks.map((task) => leasedView(task, now)) } };
  },

  async renewTask({ caller, params, body }, { records }) {
    const task = await renewLease(records, nodeOf(caller).id, params.id, body.epoch);
    const leaseSeconds = secondsLeft(task, records.clock.now());
    return { body: { leaseSeconds, cancelled: task.state === 'cancelled' } };
  },

  async reportTask({ caller, params, body }, { records }) {
    const task = await report(records, nodeOf(caller).id, params.id, body);
    return { body: { state: task.state } };
  },
};

const issued = (deps: Deps, { certificate, notAfter }: Certified) => ({
  certificate,
  ca: deps.authority.bundlePem,
  notAfter: isoTime(notAfter),
  history: deps.records.store.historyId,
});

async function desiredOf({ records }: Deps, record: InstanceRecord) {
  const good = newestGood(record);
  const [envelope, before] = await Promise.all([
    records.desired.get(generationKey(record.id, record.generation)),
    good === null ? null : records.desired.get(generationKey(record.id, good)),
  ]);
  if (!envelope || (good !== null && !before))
    throw new BilletError('CONTENDED', `the desired state of ${record.id} changed while read`, {
      hint: 'ask again',
    });
  return {
    envelope: envelope.record,
    rejected: record.rejected.map(({ generation }) => generation),
    good: before?.record ?? null,
  };
}

async function liveInstance({ records }: Deps, id: InstanceId): Promise<InstanceRecord> {
  const { record } = await getInstance(records, id);
  if (isLive(record.state)) return record;
  throw new BilletError('CERTIFICATE_INVALID', `the instance ${id} has ended`, {
    hint: 'the machine belongs to no node any more: create one, or switch it off',
    details: { state: record.state },
  });
}

function nodeOf(caller: Caller): { readonly id: InstanceId; readonly serial: Serial } {
  if (caller.role === 'node') return caller;
  throw new BilletError('INTERNAL', `a node route was called as ${caller.role}`, {
    hint: 'report this as a defect',
  });
}
