// Which CAs there are: the one that issues, and during a rotation the one before it, which is trusted
// until it is retired. Each step is whole on disk before it counts; who depends on what is of
// dependents.ts.

import type { Clock } from '#shared/clock.ts';
import type { Digest } from '#shared/digest.ts';
import { BilletError } from '#shared/errors.ts';
import type { TrustDomain } from '#shared/spiffe.ts';
import { type Authority, assertCurrent, loadAuthority, makeAuthority } from './authority.ts';
import { type CaFiles, caFiles } from './key-files.ts';

/** Acts as the authority that issues now, whichever that is. */
export interface Authorities extends Authority {
  /** Issuing first; at most two. */
  readonly trusted: readonly Authority[];
  /** Trusted still, but issues no more. */
  readonly previous: Authority | null;
  /** PEM of all that are trusted: what nodes and operators are to believe. */
  readonly bundlePem: string;
  /** What servers send after their own certificate, so that who trusts only the previous CA follows. */
  readonly chainPem: string;
  isTrusted(ca: Digest): boolean;
  /** A new CA issues; the one that did is the previous one. CONFLICT while there is one. */
  rotate(): Promise<void>;
  /** The previous CA and its key are gone. Nothing happens when there is none. */
  retire(): Promise<void>;
}

export interface AuthoritiesOptions {
  /** Of the CA that issues; the others lie beside it. */
  readonly directory: string;
  readonly trustDomain: TrustDomain;
  readonly clock: Clock;
  readonly files?: CaFiles;
}

interface State {
  readonly issuing: Authority;
  readonly previous: Authority | null;
  readonly cross: string | null;
}

/** The CAs in `directory`; the first is made if there is none. CA_INVALID. */
export async function openAuthorities(options: AuthoritiesOptions): Promise<Authorities> {
  const { directory, trustDomain, clock } = options;
  const files = options.files ?? caFiles(directory);
  await files.settle();
  if ((await files.readIssuing()) === null)
    await files.writeFirst(await makeAuthority(trustDomain, clock.now()));
  let state = await read();
  assertCurrent(directory, state.issuing, clock.now());
  let busy: Promise<unknown> = Promise.resolve();

  async function read(): Promise<State> {
    const [issuing, previous] = [await files.readIssuing(), await files.readPrevious()];
    if (issuing === null) throw new TypeError(`no CA in ${directory}`);
    return {
      issuing: await loadAuthority(directory, issuing),
      previous: previous && (await loadAuthority(`${directory}.previous`, previous)),
      cross: issuing.cross,
    };
  }

  /** One after the other, and what is on disk is what counts afterwards, even when a step failed. */
  function step(work: () => Promise<void>): Promise<void> {
    const done = busy.then(async () => {
      try {
        await work();
      } finally {
        await files.settle();
        state = await read();
      }
    });
    busy = done.catch(() => undefined);
    return done;
  }

  const trusted = () => [state.issuing, ...(state.previous ? [state.previous] : [])];

  return {
    get certificatePem() {
      return state.issuing.certificatePem;
    },
    get certificate() {
      return state.issuing.certificate;
    },
    get fingerprint() {
      return state.issuing.fingerprint;
    },
    crossSign: (other) => state.issuing.crossSign(other),
    issue: (template) => state.issuing.issue(template),
    signCrl: (template) => state.issuing.signCrl(template),

    get trusted() {
      return trusted();
    },
    get previous() {
      return state.previous;
    },
    get bundlePem() {
      return trusted()
        .map(({ certificatePem }) => certificatePem)
        .join('');
    },
    get chainPem() {
      const { issuing, previous, cross } = state;
      return previous && cross ? cross + previous.certificatePem : issuing.certificatePem;
    },
    isTrusted: (ca) => trusted().some(({ fingerprint }) => fingerprint === ca),

    rotate: () =>
      step(async () => {
        const { issuing, previous } = state;
        if (previous) throw rotating(previous.fingerprint);
        const made = await makeAuthority(trustDomain, clock.now(), issuing.certificate);
        const next = await loadAuthority(`${directory}.new`, made);
        await files.advance({ ...made, cross: await issuing.crossSign(next.certificate) });
      }),

    retire: () => step(() => files.retire()),
  };
}

const rotating = (previous: Digest) =>
  new BilletError('CONFLICT', `the CA ${previous} of the last rotation is still trusted`, {
    hint: 'billet ca show says who depends on it; billet ca retire ends it',
    details: { previous },
  });
