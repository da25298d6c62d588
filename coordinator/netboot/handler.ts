// /boot/… over plain HTTP: what firmware can fetch. Scripts and boot images only; a token that goes
// out here can be read by the network segment, which docs/security.md says.

import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Clock } from '#shared/clock.ts';
import { Digest } from '#shared/digest.ts';
import { BilletError } from '#shared/errors.ts';
import type { BootImage } from '#shared/schema/desired.ts';
import { MacAddress, NodeName } from '#shared/schema/ids.ts';
import { COORDINATOR } from '../events/records.ts';
import { problemOf } from '../http/problem.ts';
import { randomName } from '../ids.ts';
import type { Log } from '../log.ts';
import type { EnrollmentDeps } from '../nodes/enrollment.ts';
import {
  type Identifier,
  identifierKey,
  identifiersOfFacts,
  identifierText,
} from '../nodes/identifiers/rules.ts';
import type { NodeRecord } from '../nodes/records.ts';
import type { RegistryHandler } from '../registry/handler.ts';
import { commitAll } from '../store/collection.ts';
import { planBoot } from './boot-plan.ts';
import { bootScript, FIELDS, GENERIC_SCRIPT, waitingScript } from './script.ts';

export interface NetbootOptions extends EnrollmentDeps {
  readonly clock: Clock;
  readonly log: Log;
  readonly url: () => string;
  readonly registry: RegistryHandler;
  readonly isReady: () => boolean;
}

/** An unknown machine asks every 10 s; one event of it in this time is enough. */
const UNKNOWN_EVENT_MS = 10 * 60_000;
const UNKNOWN_MAX = 1_000;

export function netboot(options: NetbootOptions) {
  const { log, records, clock } = options;
  const unknown = new Map<string, number>();

  /** Bounded in time and number, for anyone on the segment can make up addresses. */
  async function tellUnknown(shown: readonly Identifier[]): Promise<void> {
    const name = shown[0] ? identifierKey(shown[0]) : 'a machine without a name';
    const now = clock.monotonic();
    for (const [key, at] of unknown) if (at + UNKNOWN_EVENT_MS < now) unknown.delete(key);
    if (unknown.has(name) || unknown.size >= UNKNOWN_MAX) return;
    unknown.set(name, now);
    const details = Object.fromEntries(shown.map(({ kind, value }) => [FIELDS[kind], value]));
    log.warn('an unknown machine asks to boot', details);
    const text = `an unknown machine asks to boot: ${namesOf(shown)}; ${REGISTER}`;
    const subject = `machine/${name}`;
    const event = { actor: COORDINATOR, kind: 'machine.unknown', subject, text, details };
    await commitAll(records.store, [records.events.tell(event)]);
  }

  async function nodeScript(url: URL): Promise<string> {
    const shown = shownIn(url.search);
    const plan = await planBoot(options, shown);
    switch (plan.kind) {
      case 'boot':
        return bootScript(plan.image, plan.identity, plan.node);
      case 'wait':
        return waitingScript(shown, plan.lines);
      case 'unknown':
        await tellUnknown(shown);
        return waitingScript(shown, [`no node is registered with ${namesOf(shown)}`, REGISTER]);
    }
  }

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = URL.parse(request.url ?? '', 'http://boot');
    if (request.method !== 'GET' && request.method !== 'HEAD') throw notAllowed();
    if (url?.pathname === '/healthz') return sendText(request, response, 'ok\n');
    if (!options.isReady())
      throw new BilletError('UNAVAILABLE', 'the coordinator is starting or stopping', {
        hint: 'ask again in a moment',
      });
    if (url?.pathname === '/boot/boot.ipxe') return sendText(request, response, GENERIC_SCRIPT);
    if (url?.pathname === '/boot/node.ipxe')
      return sendText(request, response, await nodeScript(url));
    const [, digest] = /^\/boot\/images\/(sha256[:-][0-9a-f]{64})$/.exec(url?.pathname ?? '') ?? [];
    if (url === null || digest === undefined) throw noFile();
    request.url = await imagePath(options, digest, url.searchParams.get('node'));
    await options.registry(request, response, { role: 'read' });
  }

  return (request: IncomingMessage, response: ServerResponse): void => {
    answer(request, response).catch((error) => {
      const where = `${request.method} ${(request.url ?? '').split('?')[0]?.slice(0, 100)}`;
      const problem = problemOf(error, randomName(), where, log);
      if (response.headersSent) response.destroy();
      else response.writeHead(problem.status, problem.headers).end(problem.body);
    });
  };
}

/** Kernel and initramfs of that node's boot image, and nothing else of the registry. */
async function imagePath(
  { records }: EnrollmentDeps,
  text: string,
  nodeText: string | null,
): Promise<string> {
  const digest = Digest.parse(text.replace('-', ':'));
  const name = NodeName.safeParse(nodeText);
  const node = name.success ? await records.nodes.get(name.data) : null;
  const own = node?.record.derived.bootImage;
  const has = (image: BootImage) => image.kernel === digest || image.initramfs === digest;
  const image = own && !has(own) ? await publishedBefore(records, node.record, has) : own;
  if (!image || !has(image)) throw noFile();
  return `/v2/${image.repository}/blobs/${digest}`;
}

/** For a machine that got its script before its platform's next image was published. */
async function publishedBefore(
  { catalog }: EnrollmentDeps['records'],
  { derived }: NodeRecord,
  has: (image: BootImage) => boolean,
): Promise<BootImage | null> {
  for await (const { record } of catalog.publication.all()) {
    const { platform, status, boot } = record.spec;
    if (platform === derived.platform && status !== 'draft' && has(boot)) return boot;
  }
  return null;
}

/**
 * What a machine shows. What does not parse counts as not given: some firmware has no UUID. iPXE sends
 * `&` and `+` as they are: `+` is no blank here, and texts that were cut at an `&` are not given either.
 */
function shownIn(search: string): readonly Identifier[] {
  const query = new URLSearchParams(search.replaceAll('+', '%2B'));
  const isCut = !search.split('&').every((part) => FIELD.test(part));
  const field = (kind: Identifier['kind']) => query.get(FIELDS[kind]) ?? '';
  const mac = MacAddress.safeParse(field('mac').replaceAll('-', ':'));
  const texts = isCut ? {} : { serial: field('serial'), assetTag: field('asset-tag') };
  return identifiersOfFacts({
    macs: mac.success ? [mac.data] : [],
    dmi: { uuid: field('uuid').toLowerCase(), ...texts },
  });
}

const FIELD = new RegExp(`^[?]?(?:${Object.values(FIELDS).join('|')})=`);

const namesOf = (shown: readonly Identifier[]): string =>
  shown.map(identifierText).join(', ') || 'nothing that tells it from others';

const REGISTER = 'register it: billet node set NAME --mac, --uuid, --serial or --asset-tag';

function sendText(request: IncomingMessage, response: ServerResponse, text: string): void {
  response.writeHead(200, {
    'content-type': 'text/plain; charset=us-ascii',
    'content-length': Buffer.byteLength(text),
    'cache-control': 'no-store',
  });
  response.end(request.method === 'HEAD' ? undefined : text);
}

const noFile = () =>
  new BilletError('NOT_FOUND', 'no such boot file', {
    hint: 'begin at /boot/boot.ipxe; images are those of the node that asks',
  });

const notAllowed = () =>
  new BilletError('METHOD_NOT_ALLOWED', 'boot files are only read', {
    hint: 'use GET',
    details: { allow: ['GET', 'HEAD'] },
  });
