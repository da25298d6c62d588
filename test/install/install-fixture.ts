// What tests of the coordinator's side of an installation share: a node of a class with a plan, and the
// reports that its machine would send. No machine is started.

import { routes } from '../../shared/routes/table.ts';
import { ClassSpec } from '../../shared/schema/class.ts';
import { Desired } from '../../shared/schema/desired.ts';
import type { InstanceId } from '../../shared/schema/ids.ts';
import { NodeName, ResourceName } from '../../shared/schema/ids.ts';
import { InstallReport } from '../../shared/schema/install-report.ts';
import { NodeSpec } from '../../shared/schema/records.ts';
import {
  BOOT_A,
  bodyOf,
  type Fixture,
  raw,
  type TestNode,
} from '../coordinator/coordinator-fixture.ts';

export const PLAN = { profile: 'single-disk', disk: { serial: 'disk-a' } };

export const DISK = { name: 'vda', sizeBytes: 8e9, serial: 'disk-a', byId: ['virtio-disk-a'] };

/** A class whose machines are installed by `plan`; again, with another one, it is changed. */
export async function installClass(fixture: Fixture, name: string, plan: object | null = PLAN) {
  const params = { name: ResourceName.parse(name) };
  const spec = ClassSpec.parse({ install: plan });
  const found = await fixture.admin.call(routes.getClass, { params }).catch(() => null);
  if (found === null) await fixture.admin.call(routes.createClass, { body: { ...params, spec } });
  else await fixture.admin.call(routes.putClass, { params, body: spec });
}

export const changeNode = (fixture: Fixture, name: string, spec: object) =>
  fixture.admin.call(routes.putNodeSpec, {
    params: { name: NodeName.parse(name) },
    body: NodeSpec.parse(spec),
  });

/** What the node is sent now. */
export async function desiredOf(node: TestNode): Promise<Desired> {
  const { envelope } = bodyOf(await node.client.call(routes.getDesired, { query: {} }));
  return Desired.parse(JSON.parse(Buffer.from(envelope.payload, 'base64').toString()));
}

export const instanceOf = async (fixture: Fixture, id: InstanceId) =>
  bodyOf(await fixture.admin.call(routes.getInstance, { params: { id } }));

export const reportOf = (event: string, fields: object = {}): InstallReport =>
  InstallReport.parse({
    ...{ event, bootId: BOOT_A, state: 'installing', step: 'wipe', progress: 0 },
    ...{ disk: DISK, candidates: [], problem: null, recoveryKey: null },
    ...fields,
  });

export const send = (node: TestNode, report: InstallReport) =>
  node.client.call(routes.reportInstall, { body: report });

/** Kinds of what was told of the instance, the oldest first. */
export async function eventsOf(fixture: Fixture, id: InstanceId): Promise<string[]> {
  const path = `/v1/events?follow=false&subject=instance/${id}`;
  const headers = { authorization: `Bearer ${fixture.credential}` };
  const { text } = await raw(fixture, path, { headers });
  return [...text.matchAll(/^data: (.*)$/gm)].map(([, data = '']) => JSON.parse(data).kind);
}
