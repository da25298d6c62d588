// What the coordinator says of itself: one line a message on stderr. Never given a secret.

/** Values for programs beside the text; never secrets. */
export type LogFields = Readonly<Record<string, string | number | boolean | null | undefined>>;

export interface Log {
  info(text: string, fields?: LogFields): void;
  warn(text: string, fields?: LogFields): void;
  error(text: string, fields?: LogFields): void;
}

/** sd-daemon(3) priorities: journald reads them from the start of a line on stderr. */
const PRIORITY = { error: 3, warn: 4, info: 6 } as const;

/** `<n>text key=value …`; what could end the line, or forge one or a value, is escaped as in JSON. */
export function lineLog(write: (line: string) => void): Log {
  const at =
    (level: keyof typeof PRIORITY) =>
    (text: string, fields: LogFields = {}) =>
      write(`<${PRIORITY[level]}>${plain(text)}${Object.entries(fields).map(pair).join('')}\n`);
  return { info: at('info'), warn: at('warn'), error: at('error') };
}

export const silentLog: Log = { info: () => {}, warn: () => {}, error: () => {} };

const pair = ([key, value]: [string, LogFields[string]]) =>
  value === undefined ? '' : ` ${key}=${quoted(String(value))}`;

const quoted = (text: string) => (/^[\w.:/@+-]+$/.test(text) ? text : escaped(text));
/** Without quotes around it, only an escaped `=` is no value. */
const plain = (text: string) =>
  escaped(text).slice(1, -1).replaceAll('\\"', '"').replaceAll('=', '\\u003d');

const escaped = (text: string) =>
  JSON.stringify(text.slice(0, 4096)).replace(
    /[\u007f-\uffff]/g,
    (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
