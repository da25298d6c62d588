// A small sigstore of the tests' own on the loopback: an OpenID Connect issuer that gives out tokens,
// a Fulcio, a Rekor, and the trusted root that cosign's own tool makes of their keys. Real enough for
// the real cosign to sign against; private, and gone after the test.

import { generateKeyPairSync, sign } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { systemClock } from '../../shared/clock.ts';
import { passed, type Tools } from './cosign-fixture.ts';
import { type Claims, type Fulcio, makeFulcio } from './sigstore-fulcio.ts';
import { makeRekor, type Rekor } from './sigstore-rekor.ts';

/** In certificates and policies. Nobody listens there: Fulcio has the issuer's key. */
export const ISSUER = 'https://issuer.billet.test';
const TOKEN_LIFETIME_S = 600;
/** The one issuer that every Fulcio of the tests believes. */
const issuerKeys = generateKeyPairSync('ec', { namedCurve: 'P-256' });

export interface Sigstore {
  readonly fulcio: Fulcio;
  readonly rekor: Rekor;
  readonly url: string;
  /** Path of the trusted root: authority, log and certificate log of this one only. */
  readonly trustedRoot: string;
  /** With which `cosign sign` and `sign-blob` sign as that person or program here. */
  signAs(subject: string, issuer?: string): Promise<string[]>;
  /** Makes cosign take this one for its own. */
  use(): void;
  close(): Promise<void>;
}

let count = 0;

/** `fulcio`: another one's, so that logs differ and certificates do not. */
export async function startSigstore(
  tools: Tools,
  shared: Partial<Pick<Sigstore, 'fulcio'>> = {},
): Promise<Sigstore> {
  const name = `sigstore-${++count}`;
  const fulcio = shared.fulcio ?? (await makeFulcio(systemClock, issuerKeys.publicKey));
  const rekor = makeRekor(systemClock, 'rekor.billet.test');
  const server = createServer((request, response) => {
    answer({ fulcio, rekor }, request, response).catch((error: Error) => {
      response.writeHead(500).end(error.message);
    });
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const pem = {
    root: await tools.file(`${name}-fulcio.pem`, fulcio.root),
    ct: await tools.file(`${name}-ct.pem`, fulcio.ctPublic),
    rekor: await tools.file(`${name}-rekor.pem`, rekor.publicPem),
  };
  const trustedRoot = join(tools.dir, `${name}-root.json`);
  passed(
    await tools.cosign(
      ...['trusted-root', 'create', '--out', trustedRoot, '--certificate-chain', pem.root],
      ...['--ctfe-key', pem.ct, '--rekor-key', pem.rekor],
    ),
  );
  return {
    fulcio,
    rekor,
    url,
    trustedRoot,
    async signAs(subject, issuer = ISSUER) {
      const who = subject.includes('://') ? {} : { email: subject, email_verified: true };
      const claims: Claims = { iss: issuer, sub: subject, ...who };
      const token = await tools.file('token', tokenOf(claims, issuerKeys.privateKey));
      const at = ['--fulcio-url', url, '--rekor-url', url, '--identity-token', token];
      return [...at, '--oidc-issuer', issuer, '--yes'];
    },
    use() {
      tools.environment({
        SIGSTORE_ROOT_FILE: pem.root,
        SIGSTORE_CT_LOG_PUBLIC_KEY_FILE: pem.ct,
        SIGSTORE_REKOR_PUBLIC_KEY: pem.rekor,
      });
    },
    async close() {
      server.closeAllConnections();
      await new Promise((closed) => server.close(closed));
    },
  };
}

/** RFC 7519 with ES256. */
function tokenOf(claims: Claims, key: Parameters<typeof sign>[2] & object): string {
  const now = Math.floor(systemClock.now() / 1000);
  const part = (json: object) => Buffer.from(JSON.stringify(json)).toString('base64url');
  const body = { ...claims, aud: 'sigstore', iat: now, exp: now + TOKEN_LIFETIME_S };
  const text = `${part({ alg: 'ES256', typ: 'JWT' })}.${part(body)}`;
  const signature = sign('sha256', Buffer.from(text), { key, dsaEncoding: 'ieee-p1363' } as never);
  return `${text}.${signature.toString('base64url')}`;
}

async function answer(
  { fulcio, rekor }: Pick<Sigstore, 'fulcio' | 'rekor'>,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  const body = Buffer.concat(chunks);
  switch (`${request.method} ${request.url}`) {
    case 'POST /api/v1/signingCert': {
      const token = (request.headers.authorization ?? '').replace(/^Bearer /, '');
      const pem = await fulcio.signingCert(token, body);
      if (pem === null) response.writeHead(403).end();
      else
        response.writeHead(201, { 'content-type': 'application/pem-certificate-chain' }).end(pem);
      return;
    }
    case 'POST /api/v1/log/entries': {
      const added = rekor.add(body);
      const headers = { 'content-type': 'application/json' };
      if (added === null)
        response.writeHead(400, headers).end(JSON.stringify({ code: 400, message: 'not signed' }));
      else {
        const { uuid, reply } = added;
        const location = `/api/v1/log/entries/${uuid}`;
        response.writeHead(201, { ...headers, etag: uuid, location }).end(JSON.stringify(reply));
      }
      return;
    }
    default:
      response.writeHead(404).end();
  }
}
