// Recognises a heartbeat that repeats the one before, but for what moves in every one: its number,
// uptime, load, free memory, time of the last look. What was checked once is compared as bytes, what
// moves is checked by itself, so that the result is that of parsing and validating the whole, which
// is what happens to every other message. Holds the last message; judges no node.
//
//   {"type":"heartbeat","seq":7,"heartbeat":{"bootId":"…","modules":[…],"uptimeSeconds":210.5, …}}
//   [------- piece -----------]-[------------- piece ----------------------------------]-----[piece

import { randomUUID } from 'node:crypto';
import type { Heartbeat, NodeMessage } from '#shared/schema/heartbeat.ts';
import { Timestamp } from '#shared/schema/ids.ts';

export interface Repeated {
  readonly seq: number;
  readonly heartbeat: Heartbeat;
  /** The heartbeat that it repeats: the same object as was learned, or as was read the last time. */
  readonly like: Heartbeat;
}

export interface Repeats {
  /** What NodeMessage would make of `text`; null for all that is not surely a repetition. */
  read(text: string): Repeated | null;
  /** `json` is what JSON made of `text`, and `message` what NodeMessage made of that. */
  learn(text: string, json: unknown, message: NodeMessage): void;
}

type Moving = 'seq' | 'uptimeSeconds' | 'load1' | 'memoryAvailableBytes' | 'at';

/**
 * Narrower than JSON (RFC 8259 §6) and the schema both: not negative, safe as an integer, finite.
 * Whatever else is valid is parsed in full.
 */
const WHOLE = /(?:0|[1-9]\d{0,14})/y;
const DECIMAL = /(?:0|[1-9]\d{0,14})(?:\.\d{1,17})?/y;
const TIME = /"[\dT:.Z-]{1,40}"/y;
const TOKEN: Readonly<Record<Moving, RegExp>> = {
  seq: WHOLE,
  uptimeSeconds: DECIMAL,
  load1: DECIMAL,
  memoryAvailableBytes: WHOLE,
  at: TIME,
};

/** Stands for what moves while a message is cut into pieces. No node knows it. */
const MARK = randomUUID();
const MARKS = new RegExp(`"${MARK}:(\\w+)"`);

interface Learned {
  readonly pieces: readonly string[];
  /** What moves after each piece but the last. */
  readonly moving: readonly Moving[];
  heartbeat: Heartbeat;
}

export function repeats(): Repeats {
  let known: Learned | null = null;

  return {
    read(text) {
      if (known === null) return null;
      const tokens = tokensOf(known, text);
      if (tokens === null) return null;
      const like = known.heartbeat;
      const at = tokens.at === undefined ? undefined : tokens.at.slice(1, -1);
      const last = like.lastReconcile;
      if (at !== undefined && at !== last?.at && !Timestamp.safeParse(at).success) return null;
      const { uptimeSeconds, load1, memoryAvailableBytes } = tokens;
      const heartbeat: Heartbeat = { ...like };
      if (uptimeSeconds !== undefined) heartbeat.uptimeSeconds = Number(uptimeSeconds);
      if (load1 !== undefined) heartbeat.load1 = Number(load1);
      if (memoryAvailableBytes !== undefined)
        heartbeat.memoryAvailableBytes = Number(memoryAvailableBytes);
      if (at !== undefined && last !== undefined) heartbeat.lastReconcile = { ...last, at };
      known.heartbeat = heartbeat;
      return { seq: Number(tokens.seq), heartbeat, like };
    },

    learn(text, json, message) {
      known = cut(text, json, message.heartbeat);
    },
  };
}

/** The texts of what moves, when everything between them is as it was. */
function tokensOf(
  { pieces, moving }: Learned,
  text: string,
): Partial<Record<Moving, string>> | null {
  const tokens: Partial<Record<Moving, string>> = {};
  let from = 0;
  for (const [index, piece] of pieces.entries()) {
    const to = from + piece.length;
    if (text.slice(from, to) !== piece) return null;
    const name = moving[index];
    if (name === undefined) return to === text.length ? tokens : null;
    const pattern = TOKEN[name];
    pattern.lastIndex = to;
    if (!pattern.test(text)) return null;
    from = pattern.lastIndex;
    tokens[name] = text.slice(to, from);
  }
  return null;
}

/** Null where the text is not what JSON.stringify writes: then nothing is certain about its pieces. */
function cut(text: string, json: unknown, heartbeat: Heartbeat): Learned | null {
  const raw = json as { readonly heartbeat: Readonly<Record<string, unknown>> };
  const inner = marked(raw.heartbeat, ['uptimeSeconds', 'load1', 'memoryAvailableBytes']);
  const { lastReconcile } = inner;
  if (isObject(lastReconcile)) inner.lastReconcile = marked(lastReconcile, ['at']);
  const whole = { ...marked(raw, ['seq']), heartbeat: inner };
  const parts = JSON.stringify(whole).split(MARKS);
  const pieces = parts.filter((_, index) => index % 2 === 0);
  const moving = parts.filter((_, index) => index % 2 === 1) as Moving[];
  const learned = { pieces, moving, heartbeat };
  return tokensOf(learned, text) === null ? null : learned;
}

function marked(object: object, names: readonly Moving[]): Record<string, unknown> {
  const copy: Record<string, unknown> = { ...object };
  for (const name of names) if (copy[name] !== undefined) copy[name] = `${MARK}:${name}`;
  return copy;
}

const isObject = (value: unknown): value is object => typeof value === 'object' && value !== null;
