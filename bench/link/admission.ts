// What a node does before it has a channel: a TLS handshake, an enrollment, a renewal. Many of them
// from one process, for the other side to be measured.

import { createPrivateKey, createPublicKey } from 'node:crypto';
import { once } from 'node:events';
import { connect } from 'node:tls';
import { Agent } from 'undici';
import { routeClient } from '#shared/client/route-client.ts';
import { createCsr } from '#shared/csr.ts';
import { enroll as enrollRoute, renewCertificate } from '#shared/routes/node.ts';
import { Facts } from '#shared/schema/facts.ts';
import type { NodeKey } from '../../agent/identity/key.ts';
import type { Server } from './agent-channel.ts';
import type { FleetAgent } from './fleet.ts';
import { inParallel } from './in-parallel.ts';

/** As a machine of the laboratory reports them. */
const FACTS = Facts.parse({
  architecture: 'x86_64',
  kernelRelease: '6.12.48+deb13-amd64',
  firmware: 'uefi',
  secureBoot: true,
  cpuCount: 2,
  memoryBytes: 2 ** 31,
  macs: ['52:54:00:12:34:56'],
  disks: [{ name: 'vda', sizeBytes: 2 ** 34 }],
});

/**
 * `count` full handshakes of TLS 1.3, each with a node's certificate, `width` at a time. Each ends
 * once the server has sent its session ticket, which it does after it has verified the client's.
 */
export async function handshakes(
  { url, ca }: Server,
  agents: readonly FleetAgent[],
  { count, width }: { readonly count: number; readonly width: number },
): Promise<void> {
  const { hostname: host, port } = new URL(url);
  await inParallel(count, width, async (number) => {
    const { key, certificate } = agents[number % agents.length] as FleetAgent;
    const cert = certificate ?? '';
    const socket = connect({ host, port: Number(port), ca, key, cert, minVersion: 'TLSv1.3' });
    await once(socket, 'session');
    if (!socket.authorized || socket.isSessionReused()) throw new Error('not a full handshake');
    socket.destroy();
  });
}

/** Each agent trades its token for a certificate, over connections that are kept: `width` of them. */
export async function enrollments(
  { url, ca }: Server,
  agents: readonly FleetAgent[],
  width: number,
): Promise<void> {
  const dispatcher = new Agent({ connections: width, pipelining: 1, connect: { ca } });
  const client = routeClient({ dispatcher, baseUrl: url });
  try {
    await inParallel(agents.length, width, async (number) => {
      const { instance, key, token } = agents[number] as FleetAgent;
      if (token === null) throw new Error(`${instance} has no token`);
      const body = { instance, token, csr: createCsr(keyOf(key), instance), facts: FACTS };
      await client.call(enrollRoute, { body: enrollRoute.body.parse(body) });
    });
  } finally {
    await dispatcher.destroy();
  }
}

/** Each agent renews `times` over one connection of its own, all agents at once. */
export async function renewals(
  { url, ca }: Server,
  agents: readonly FleetAgent[],
  times: number,
): Promise<void> {
  await inParallel(agents.length, agents.length, async (number) => {
    const { instance, key, certificate } = agents[number] as FleetAgent;
    const cert = certificate ?? '';
    const dispatcher = new Agent({ connections: 1, connect: { ca, key, cert } });
    const client = routeClient({ dispatcher, baseUrl: url });
    const csr = createCsr(keyOf(key), instance);
    try {
      for (let time = 0; time < times; time += 1)
        await client.call(renewCertificate, { body: { csr, facts: FACTS } });
    } finally {
      await dispatcher.destroy();
    }
  });
}

function keyOf(pem: string): NodeKey {
  const privateKey = createPrivateKey(pem);
  return { privateKey, publicKey: createPublicKey(privateKey), pem };
}
