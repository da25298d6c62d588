// A BMC that speaks Redfish, for tests: TLS with a certificate of its own, sessions, ETags, tasks, the
// resources that the published mockups have (DSP2043, public-rackmount1: one system, one manager with a
// virtual CD), and faults that real BMCs have.

import { execFileSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import { join } from 'node:path';
import { json } from 'node:stream/consumers';
import { type BmcState, link, mockup } from './redfish-mockup.ts';

export interface BmcFaults {
  /** Never answers requests for this path. */
  readonly silentAt?: string;
  /** Begins to answer requests for this path, and goes on with a byte now and then, for ever. */
  readonly dripsAt?: string;
  /** Its answer to a login has no Location: the session is in its body only. */
  readonly namesNoLocation?: boolean;
  /** Takes power commands, and does nothing. */
  readonly liesAboutPower?: boolean;
  /** Takes the medium, and shows none. */
  readonly liesAboutMedia?: boolean;
  readonly refusesMedia?: boolean;
  /** Knows only `Image` of InsertMedia. */
  readonly oldMedia?: boolean;
  /** Forgets the session before this many further requests. */
  readonly dropsSessionAfter?: number;
  /** Somebody else changes the system between read and write: so often. */
  readonly etagRaces?: number;
  /** How InsertMedia ends, when it is a task. */
  readonly task?: 'Completed' | 'Exception';
  /** The link of the systems leads to another host. */
  readonly leadsAway?: boolean;
}

export interface FakeBmc extends AsyncDisposable {
  readonly url: string;
  readonly fingerprint: string;
  readonly certificate: string;
  readonly state: BmcState;
  /** `METHOD path` of each request, in order. */
  readonly asked: readonly string[];
}

const USER = { UserName: 'operator', Password: 'calvin-and-hobbes' };
const TASK = '/redfish/v1/TaskService/TaskMonitors/545';

export async function startBmc(dir: string, faults: BmcFaults = {}): Promise<FakeBmc> {
  const tls = certificate(dir);
  const state: BmcState = {
    ...{ power: 'Off', image: null, inserted: false, sessions: new Set() },
    override: { BootSourceOverrideEnabled: 'Disabled', BootSourceOverrideTarget: 'None' },
  };
  const asked: string[] = [];
  let [version, races, requests, polls, sessions] = [1, faults.etagRaces ?? 0, 0, 0, 0];
  const etag = () => `W/"${version}"`;

  const resources = mockup(state, faults.leadsAway === true);

  function login(body: Record<string, unknown>): Reply {
    if (body.UserName !== USER.UserName || body.Password !== USER.Password)
      return problem(
        401,
        'Base.1.18.0.NoValidSession',
        'There is no valid session.',
        'Log in with a valid user.',
      );
    sessions += 1;
    const token = `token-${sessions}`;
    state.sessions.add(token);
    const location = `/redfish/v1/SessionService/Sessions/${sessions}`;
    const headers = { 'x-auth-token': token, ...(!faults.namesNoLocation && { location }) };
    return { status: 201, body: link(location), headers };
  }

  function insert(body: Record<string, unknown>): Reply {
    if (faults.refusesMedia)
      return problem(
        400,
        'Base.1.18.0.ResourceAtUriInUnknownFormat',
        'The resource at the URI was in a format not recognized by the service.',
        'Place an image that the service knows at the URI.',
      );
    if (faults.oldMedia && Object.keys(body).length > 1)
      return problem(
        400,
        'Base.1.18.0.ActionParameterUnknown',
        'WriteProtected is not known.',
        'None.',
      );
    if (faults.task !== undefined) {
      if (faults.task === 'Completed') Object.assign(state, { image: body.Image, inserted: true });
      return { status: 202, headers: { location: TASK, 'retry-after': '0' } };
    }
    if (!faults.liesAboutMedia) Object.assign(state, { image: body.Image, inserted: true });
    return { status: 204 };
  }

  /** A monitor answers 202 while the task runs, then as the operation would have. */
  function monitor(): Reply {
    polls += 1;
    if (polls < 3) return { status: 202, headers: { location: TASK, 'retry-after': '0' } };
    if (faults.task === 'Completed') return { status: 204 };
    const Messages = [
      {
        MessageId: 'Base.1.18.0.InternalError',
        Message: 'The image could not be mounted.',
        Resolution: 'Resubmit the request.',
      },
    ];
    const body = {
      '@odata.type': '#Task.v1_7_0.Task',
      TaskState: 'Exception',
      TaskStatus: 'Critical',
      Messages,
    };
    return { status: 200, body };
  }

  function post(path: string, body: Record<string, unknown>): Reply {
    if (path === '/redfish/v1/SessionService/Sessions') return login(body);
    if (path.endsWith('VirtualMedia.InsertMedia')) return insert(body);
    if (path.endsWith('VirtualMedia.EjectMedia')) {
      Object.assign(state, { image: null, inserted: false });
      return { status: 204 };
    }
    if (!path.endsWith('ComputerSystem.Reset')) return { status: 404 };
    if (!faults.liesAboutPower) state.power = body.ResetType === 'ForceOff' ? 'Off' : 'On';
    return { status: 204 };
  }

  function patch(request: IncomingMessage, body: { Boot?: Record<string, string> }): Reply {
    if (races > 0) {
      races -= 1;
      version += 1;
    }
    if (request.headers['if-match'] !== etag())
      return problem(
        412,
        'Base.1.18.0.PreconditionFailed',
        'The ETag supplied did not match.',
        'Read the resource again.',
      );
    Object.assign(state.override, body.Boot);
    version += 1;
    return { status: 204 };
  }

  async function answer(request: IncomingMessage): Promise<Reply | null> {
    const { method = '', url: path = '' } = request;
    asked.push(`${method} ${path}`);
    if (path === faults.silentAt) return null;
    const isLogin = method === 'POST' && path.endsWith('/Sessions');
    if (!isLogin && path !== '/redfish/v1/') {
      requests += 1;
      if (requests === faults.dropsSessionAfter) state.sessions.clear();
      if (!state.sessions.has(String(request.headers['x-auth-token'])))
        return problem(401, 'Base.1.18.0.NoValidSession', 'There is no valid session.', 'None.');
    }
    if (method === 'GET' && path === TASK) return monitor();
    if (method === 'GET') {
      const resource = resources[path];
      return resource === undefined
        ? { status: 404 }
        : { status: 200, body: resource(), headers: { etag: etag() } };
    }
    const body = method === 'DELETE' ? {} : ((await json(request)) as Record<string, never>);
    if (method === 'PATCH') return patch(request, body);
    if (method === 'POST') return post(path, body);
    state.sessions.delete(String(request.headers['x-auth-token']));
    return { status: 204 };
  }

  const server = createServer(tls, (request, response) => {
    if (request.url === faults.dripsAt) {
      const drips = setInterval(() => response.write(' '), 50);
      response.once('close', () => clearInterval(drips));
      return;
    }
    answer(request).then(
      (reply) => reply !== null && send(response, reply),
      (error: Error) => response.destroy(error),
    );
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address() as { port: number };
  return {
    url: `https://127.0.0.1:${address.port}`,
    fingerprint: new X509Certificate(tls.cert).fingerprint256,
    certificate: join(dir, 'bmc.crt'),
    state,
    asked,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

interface Reply {
  readonly status: number;
  readonly body?: object;
  readonly headers?: Record<string, string>;
}

function send(response: ServerResponse, { status, body, headers = {} }: Reply): void {
  response.writeHead(status, {
    'content-type': 'application/json',
    'odata-version': '4.0',
    ...headers,
  });
  response.end(body === undefined ? '' : JSON.stringify(body));
}

/** DSP0266, "Error responses". */
const problem = (
  status: number,
  MessageId: string,
  Message: string,
  Resolution: string,
): Reply => ({
  status,
  body: {
    error: {
      ...{ code: 'Base.1.18.0.GeneralError', message: 'A general error has occurred.' },
      '@Message.ExtendedInfo': [{ MessageId, Message, Severity: 'Critical', Resolution }],
    },
  },
});

function certificate(dir: string): { key: Buffer; cert: Buffer } {
  const [key, cert] = [join(dir, 'bmc.key'), join(dir, 'bmc.crt')];
  const names = ['-subj', '/CN=bmc', '-addext', 'subjectAltName=IP:127.0.0.1'];
  const made = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
  execFileSync('openssl', [...made, '-keyout', key, '-out', cert, ...names], { stdio: 'ignore' });
  return { key: readFileSync(key), cert: readFileSync(cert) };
}
