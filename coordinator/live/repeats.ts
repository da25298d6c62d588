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

/**
 * Narrower than JSON (RFC 8259 §6) and the schema both: not negative, safe as an integer, finite.
 * Whatever else is valid is parsed in full.
 */
const WHOLE = /(?:0|[1-9]\d{0,14})/y;
const DECIMAL = /(?:0|[1-9]\d{0,14})(?:\.\d{1,30})?/y;
const TIME = /"[\dT:.Z-]{1,40}"/y;

/** What moves, by its number. */
const SEQ = 0;
const AT = 1;
const UPTIME = 2;
const LOAD = 3;
const AVAILABLE = 4;
const TOKEN: readonly RegExp[] = [WHOLE, TIME, DECIMAL, DECIMAL, WHOLE];
const IN_HEARTBEAT = { uptimeSeconds: UPTIME, load1: LOAD, memoryAvailableBytes: AVAILABLE };

/** Stands for what moves while a message is cut into pieces. No node knows it. */
const MARK = randomUUID();
const MARKS = new RegExp(`"${MARK}:(\\d)"`);

interface Learned {
  readonly pieces: readonly string[];
  /** What moves after each piece but the last. */
  readonly moving: readonly number[];
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
      const heartbeat: Heartbeat = { ...like };
      const [seq, at, uptime, load, available] = tokens;
      if (at !== undefined && !moveTime(heartbeat, at)) return null;
      if (uptime !== undefined) heartbeat.uptimeSeconds = Number(uptime);
      if (load !== undefined) heartbeat.load1 = Number(load);
      if (available !== undefined) heartbeat.memoryAvailableBytes = Number(available);
      known.heartbeat = heartbeat;
      return { seq: Number(seq), heartbeat, like };
    },

    learn(text, json, message) {
      known = cut(text, json, message.heartbeat);
    },
  };
}

/** The texts of what moves, by number, when everything between them is as it was. */
function tokensOf({ pieces, moving }: Learned, text: string): (string | undefined)[] | null {
  const tokens: (string | undefined)[] = [undefined, undefined, undefined, undefined, undefined];
  let from = 0;
  for (let index = 0; index < pieces.length; index += 1) {
    const piece = pieces[index] ?? '';
    const to = from + piece.length;
    if (text.slice(from, to) !== piece) return null;
    const number = moving[index];
    if (number === undefined) return to === text.length ? tokens : null;
    const pattern = TOKEN[number] ?? WHOLE;
    pattern.lastIndex = to;
    if (!pattern.test(text)) return null;
    from = pattern.lastIndex;
    tokens[number] = text.slice(to, from);
  }
  return null;
}

/** False when it is no time. The token is a JSON string without escapes. */
function moveTime(heartbeat: Heartbeat, token: string): boolean {
  const last = heartbeat.lastReconcile;
  if (last === undefined) return false;
  // A string of its own: a slice would keep the whole message in memory.
  const at: string = JSON.parse(token);
  if (at === last.at) return true;
  heartbeat.lastReconcile = { ...last, at };
  return Timestamp.safeParse(at).success;
}

/** Null where the text is not what JSON.stringify writes: then nothing is certain about its pieces. */
function cut(text: string, json: unknown, heartbeat: Heartbeat): Learned | null {
  const raw = json as { readonly heartbeat: Readonly<Record<string, unknown>> };
  const inner = marked(raw.heartbeat, IN_HEARTBEAT);
  const { lastReconcile } = inner;
  if (isObject(lastReconcile)) inner.lastReconcile = marked(lastReconcile, { at: AT });
  const whole = { ...marked(raw, { seq: SEQ }), heartbeat: inner };
  const parts = JSON.stringify(whole).split(MARKS);
  const pieces = parts.filter((_, index) => index % 2 === 0);
  const moving = parts.filter((_, index) => index % 2 === 1).map(Number);
  const learned = { pieces, moving, heartbeat };
  return tokensOf(learned, text) === null ? null : learned;
}

function marked(object: object, names: Readonly<Record<string, number>>): Record<string, unknown> {
  const copy: Record<string, unknown> = { ...object };
  for (const [name, number] of Object.entries(names))
    if (copy[name] !== undefined) copy[name] = `${MARK}:${number}`;
  return copy;
}

const isObject = (value: unknown): value is object => typeof value === 'object' && value !== null;
