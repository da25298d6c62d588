// Reads the JSON body of a request within its limits of size, time and nesting. Knows no schema.

import type { IncomingMessage } from 'node:http';
import { BilletError } from '#shared/errors.ts';

const DEPTH_MAX = 64;

export interface BodyLimits {
  readonly bytesMax: number;
  readonly timeoutMs: number;
}

/**
 * The parsed body; undefined when there is none. BODY_TOO_LARGE as soon as that is known, the rest
 * unread; TIMEOUT; BODY_INVALID for another type, for bad UTF-8, and for what is not JSON.
 */
export async function readJson(request: IncomingMessage, limits: BodyLimits): Promise<unknown> {
  const length = request.headers['content-length'];
  if (length !== undefined && Number(length) > limits.bytesMax) throw tooLarge(limits.bytesMax);
  const bytes = await readBytes(request, limits);
  if (bytes.length === 0) return undefined;
  const type = request.headers['content-type'];
  if (type !== undefined && !/^application\/(?:[\w.-]+\+)?json\s*(?:;|$)/i.test(type))
    throw invalid(`a body of type ${JSON.stringify(type.slice(0, 80))}`, 'send application/json');
  const text = decode(bytes);
  if (isDeep(text)) throw invalid(`nested deeper than ${DEPTH_MAX}`, 'flatten it');
  try {
    return JSON.parse(text);
  } catch (cause) {
    const why = cause instanceof SyntaxError ? cause.message.slice(0, 120) : 'unreadable';
    throw invalid(`not JSON: ${why}`, 'send application/json in UTF-8');
  }
}

async function readBytes(request: IncomingMessage, limits: BodyLimits): Promise<Buffer> {
  const { bytesMax, timeoutMs } = limits;
  const done = Promise.withResolvers<Buffer>();
  const chunks: Buffer[] = [];
  let size = 0;
  const timer = setTimeout(() => done.reject(late(timeoutMs)), timeoutMs);
  const onData = (chunk: Buffer) => {
    size += chunk.length;
    chunks.push(chunk);
    if (size > bytesMax) done.reject(tooLarge(bytesMax));
  };
  const onEnd = () => done.resolve(Buffer.concat(chunks));
  const onLost = () =>
    done.reject(invalid('the connection ended inside the body', 'send it again'));
  request.on('data', onData).on('end', onEnd).on('error', onLost).on('close', onLost);
  try {
    return await done.promise;
  } finally {
    clearTimeout(timer);
    request.off('data', onData).off('end', onEnd).off('close', onLost);
    request.pause();
  }
}

function decode(bytes: Buffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw invalid('not UTF-8', 'send application/json in UTF-8');
  }
}

/** Brackets outside of strings, counted before any parser recurses into them. */
function isDeep(text: string): boolean {
  let depth = 0;
  let inString = false;
  for (let at = 0; at < text.length; at += 1) {
    const c = text[at];
    if (inString) {
      if (c === '\\') at += 1;
      else if (c === '"') inString = false;
    } else if (c === '"') inString = true;
    else if (c === '{' || c === '[') {
      depth += 1;
      if (depth > DEPTH_MAX) return true;
    } else if (c === '}' || c === ']') depth -= 1;
  }
  return false;
}

const invalid = (message: string, hint: string) =>
  new BilletError('BODY_INVALID', message, { hint });

const tooLarge = (bytesMax: number) =>
  new BilletError('BODY_TOO_LARGE', `the body is over ${bytesMax} bytes`, {
    hint: 'send less; what is large belongs in the registry',
    details: { bytesMax },
  });

const late = (timeoutMs: number) =>
  new BilletError('TIMEOUT', `the body did not arrive within ${timeoutMs / 1000} s`, {
    hint: 'send it faster, or look at the network between',
  });
