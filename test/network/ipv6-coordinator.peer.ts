// A coordinator that has IPv6 only: by its address in the URL, and by a name that has no other. Real TLS over
// ::1; the name stands in a hosts file that only the process under test sees.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { after, before, test } from 'node:test';
import { coordinatorTime } from '../../agent/link/coordinator-time.ts';
import { routes } from '../../shared/routes/table.ts';
import type { Identity } from '../../shared/schema/identity.ts';
import {
  type AgentFixture,
  eventually,
  identityOf,
  removeDir,
  startAgent,
} from '../agent/agent-fixture.ts';
import { bodyOf, type Fixture, startFixture } from '../coordinator/coordinator-fixture.ts';

let fixture: Fixture;
let agent: AgentFixture | undefined;

before(async () => {
  const names = ['::1', 'six.example'];
  fixture = await startFixture({ listen: '[::1]:0', names, heartbeatSeconds: 1 });
});
after(async () => {
  await agent?.stop();
  if (agent) await removeDir(agent.dir);
  await fixture.close();
});

test('an agent enrolls at an IPv6 address, keeps its channel, and asks there for the time', async () => {
  assert.match(fixture.coordinator.url, /^https:\/\/\[::1\]:\d+$/);
  const id = await fixture.instance('six-1');
  agent = await startAgent(fixture, id, { modules: [] });
  const show = async () => bodyOf(await fixture.admin.call(routes.getInstance, { params: { id } }));
  await eventually(show, ({ heartbeat }) => heartbeat !== null);
  const { coordinator, ca } = await identityOf(fixture, id);
  const time = await coordinatorTime(
    { coordinator, pin: ca, known: [] },
    AbortSignal.timeout(5000),
  );
  assert.ok(time !== null && time.now !== null);
});

test('a name that has an IPv6 address only will do', {
  skip: process.getuid?.() === 0 ? false : 'mount(2) needs root',
}, async () => {
  const identity: Identity = {
    ...(await identityOf(fixture, await fixture.instance('six-2'))),
    coordinator: `https://six.example:${fixture.coordinator.port}`,
  };
  const hosts = join(fixture.stateDir, 'hosts');
  await writeFile(hosts, '::1 six.example\n');
  const script = 'mount --bind "$1" /etc/hosts && shift && exec "$@"';
  const child = join(import.meta.dirname, '../certificates/clock-child.ts');
  const argv = ['-m', 'sh', '-c', script, 'sh', hosts, process.execPath, child];
  const enrolling = spawn('unshare', argv, {
    env: {
      ...process.env,
      BILLET_IDENTITY: JSON.stringify(identity),
      BILLET_DIR: join(fixture.stateDir, 'six-2'),
    },
    timeout: 20_000,
  });
  const [out, errors] = await Promise.all([text(enrolling.stdout), text(enrolling.stderr)]);
  assert.ok(out.startsWith('{'), errors);
  assert.equal(JSON.parse(out).how, 'enrolled', out);
});
