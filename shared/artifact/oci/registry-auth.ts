// Proves to a registry who we are: basic, a given bearer token, or tokens from the registry's token
// service. Source: RFC 9110 §11.6.1 and the distribution project's "Token Authentication
// Specification". Sends no credential to any origin but the registry's and the token service that the
// registry names.

import { z } from 'zod';
import type { Clock } from '../../clock.ts';
import { BilletError } from '../../errors.ts';
import { failed, isTransient } from './registry-error.ts';

export type Credentials =
  | { readonly kind: 'basic'; readonly username: string; readonly password: string }
  | { readonly kind: 'bearer'; readonly token: string };

export interface Challenge {
  readonly scheme: 'basic' | 'bearer';
  readonly parameters: Readonly<Record<string, string>>;
}

/** A service that does not say how long its tokens hold means this long. */
const TOKEN_SECONDS = 60;
/** A token is no longer used for the last part of its life: it has to hold until it arrives. */
const USED_SHARE = 0.9;

const TokenText = z.string().regex(/^[\x21-\x7e]+$/);
const TokenReply = z
  .object({
    token: TokenText.optional(),
    access_token: TokenText.optional(),
    expires_in: z.number().positive().optional(),
  })
  .transform((reply) => ({
    text: reply.token ?? reply.access_token ?? null,
    lifeMs: (reply.expires_in ?? TOKEN_SECONDS) * 1000,
  }));

/** Gets a small JSON document. Throws as the registry client does. */
export type GetJson = (url: URL, headers: Record<string, string>) => Promise<unknown>;

export interface Authenticator {
  /** The header for the next request, or null. */
  header(scope: string): string | null;
  /**
   * Acts on a 401 for a request that had the header `sent`; false if there is nothing more to try.
   * Throws REGISTRY_DENIED for a login that the token service refuses, and Transient where it does
   * not answer.
   */
  answer(challenge: string | null, scope: string, sent: string | null): Promise<boolean>;
}

export interface AuthenticatorDeps {
  readonly origin: URL;
  readonly credentials: Credentials | null;
  readonly getJson: GetJson;
  readonly clock: Pick<Clock, 'monotonic'>;
}

export function authenticator(deps: AuthenticatorDeps): Authenticator {
  const { origin, credentials, getJson, clock } = deps;
  const tokens = new Map<string, { readonly text: string; readonly until: number }>();
  const fetching = new Map<string, Promise<void>>();
  let basic = false;

  const fetchToken = async (parameters: Challenge['parameters'], scope: string) => {
    const url = tokenUrl(origin, parameters, scope);
    const headers =
      credentials?.kind === 'basic' ? { authorization: basicHeader(credentials) } : {};
    const askedAt = clock.monotonic();
    const reply = await getJson(url, headers).catch((error: unknown) => {
      throw fromService(error, url.host);
    });
    const token = TokenReply.safeParse(reply);
    if (!token.success || token.data.text === null)
      throw failed(`the token service ${url.host} sent no token`);
    tokens.set(scope, { text: token.data.text, until: askedAt + USED_SHARE * token.data.lifeMs });
  };

  /** Requests side by side that need the same token wait for one. */
  const fetchOnce = (parameters: Challenge['parameters'], scope: string): Promise<void> => {
    const key = JSON.stringify([scope, parameters]);
    const running = fetching.get(key);
    if (running !== undefined) return running;
    const started = fetchToken(parameters, scope).finally(() => fetching.delete(key));
    fetching.set(key, started);
    return started;
  };

  const header = (scope: string): string | null => {
    if (credentials?.kind === 'bearer') return `Bearer ${credentials.token}`;
    const token = tokens.get(scope);
    if (token !== undefined && clock.monotonic() < token.until) return `Bearer ${token.text}`;
    return basic && credentials !== null ? basicHeader(credentials) : null;
  };

  return {
    header,
    async answer(text, scope, sent) {
      // A request beside this one was answered meanwhile.
      if (header(scope) !== sent) return true;
      if (credentials?.kind === 'bearer') return false;
      const challenges = parseChallenges(text ?? '');
      const bearer = challenges.find(({ scheme }) => scheme === 'bearer');
      if (bearer !== undefined) {
        await fetchOnce(bearer.parameters, scope);
        return true;
      }
      const offered = challenges.some(({ scheme }) => scheme === 'basic');
      if (!offered || basic || credentials === null) return false;
      basic = true;
      return true;
    },
  };
}

/** What a token service's failure means for who wanted to pull. */
function fromService(error: unknown, host: string): unknown {
  const hint = `the registry sends its clients to the token service ${host}: check that it runs`;
  if (isTransient(error)) return { ...error, hint };
  if (!(error instanceof BilletError)) return error;
  const denied = error.code === 'REGISTRY_DENIED';
  return new BilletError(denied ? error.code : 'REGISTRY_FAILED', error.message, {
    hint: denied ? `check user name and password: ${host} refuses them` : hint,
    details: error.details,
    cause: error,
  });
}

function tokenUrl(origin: URL, parameters: Challenge['parameters'], scope: string): URL {
  const { realm = '', service } = parameters;
  if (!URL.canParse(realm)) throw failed(`the registry ${origin.host} names no token service`);
  const url = new URL(realm);
  const downgrade = url.protocol !== 'https:' && url.protocol !== origin.protocol;
  if (downgrade || url.username !== '')
    throw new BilletError('REGISTRY_DENIED', `the token service ${url.origin} is not HTTPS`, {
      hint: 'mend the realm of the registry: credentials are sent to HTTPS only',
    });
  if (service !== undefined) url.searchParams.set('service', service);
  // Each resource of the challenge is a parameter of its own: a mount needs two.
  for (const each of (parameters.scope ?? scope).split(' '))
    if (each !== '') url.searchParams.append('scope', each);
  return url;
}

function basicHeader(credentials: Extract<Credentials, { kind: 'basic' }>): string {
  const pair = `${credentials.username}:${credentials.password}`;
  return `Basic ${Buffer.from(pair).toString('base64')}`;
}

/** Reads `Bearer realm="…",service="…", Basic realm="…"`. Schemes that are not known are left out. */
export function parseChallenges(header: string): Challenge[] {
  const challenges: { scheme: string; parameters: Record<string, string> }[] = [];
  const token = /[!#$%&'*+.^_`|~\w-]+/.source;
  const part = new RegExp(
    `\\s*,?\\s*(?:(${token})\\s*=\\s*(?:"((?:[^"\\\\]|\\\\.)*)"|(${token}))|(${token})(?=\\s|,|$))`,
    'y',
  );
  for (
    let match = part.exec(header);
    match !== null && match[0] !== '';
    match = part.exec(header)
  ) {
    const [, key, quoted, bare, scheme] = match;
    if (scheme !== undefined) challenges.push({ scheme: scheme.toLowerCase(), parameters: {} });
    const current = challenges.at(-1);
    if (key !== undefined && current !== undefined)
      current.parameters[key.toLowerCase()] = quoted?.replaceAll(/\\(.)/g, '$1') ?? bare ?? '';
  }
  return challenges.filter(
    (challenge): challenge is Challenge =>
      challenge.scheme === 'basic' || challenge.scheme === 'bearer',
  );
}
