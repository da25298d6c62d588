// Starts a program of ours under this Node and asks it things over its IPC channel. Knows no program.

import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { BilletError } from '#shared/errors.ts';
import type { Answer, Question } from '../questions.ts';

export interface Process {
  /** What the process answers; its error otherwise, or that it has ended. */
  ask(what: string, input?: unknown): Promise<unknown>;
  /** Resolves with the match of the first line on stderr that fits. */
  line(pattern: RegExp): Promise<RegExpExecArray>;
  /** SIGTERM, and SIGKILL after `graceMs`. Idempotent. */
  stop(graceMs?: number): Promise<void>;
}

const GRACE_MS = 15_000;
/** Of stderr, for the error when it ends by itself. */
const TAIL = 4_000;

export function startProcess(options: {
  /** Path, or URL of a file. */
  readonly program: string;
  readonly args?: readonly string[];
  readonly nodeArgs?: readonly string[];
  /** Aborted: the process is killed. */
  readonly signal: AbortSignal;
}): Process {
  const { program, args = [], nodeArgs = [], signal } = options;
  const path = program.startsWith('file:') ? fileURLToPath(program) : program;
  const child = fork(path, [...args], {
    execArgv: ['--disable-warning=ExperimentalWarning', ...nodeArgs],
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    serialization: 'advanced',
  });
  const waiting = new Map<number, PromiseWithResolvers<unknown>>();
  const lines: { pattern: RegExp; found: PromiseWithResolvers<RegExpExecArray> }[] = [];
  let said = '';
  let asked = 0;
  let over: Error | null = null;

  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    said = (said + text).slice(-TAIL);
    for (const { pattern, found } of lines) {
      const match = pattern.exec(said);
      if (match) found.resolve(match);
    }
  });
  child.on('message', (message: Answer) => {
    const one = waiting.get(message.id);
    waiting.delete(message.id);
    if ('error' in message) one?.reject(new Error(message.error));
    else one?.resolve(message.answer);
  });
  const exited = once(child, 'exit').then(() => {
    over = new BilletError('INTERNAL', `${path} ended: ${said.trim()}`, {
      hint: 'this is a defect of the bench, or of what it measures: please report it',
    });
    for (const { reject } of waiting.values()) reject(over);
    for (const { found } of lines) found.reject(over);
  });
  const kill = () => child.kill('SIGKILL');
  signal.addEventListener('abort', kill, { once: true });
  if (signal.aborted) kill();

  return {
    ask(what, input) {
      if (over !== null) return Promise.reject(over);
      const answer = Promise.withResolvers<unknown>();
      const id = asked++;
      waiting.set(id, answer);
      child.send({ id, what, input } satisfies Question);
      return answer.promise;
    },
    line(pattern) {
      const found = Promise.withResolvers<RegExpExecArray>();
      const match = pattern.exec(said);
      if (match) found.resolve(match);
      else if (over === null) lines.push({ pattern, found });
      else found.reject(over);
      return found.promise;
    },
    async stop(graceMs = GRACE_MS) {
      signal.removeEventListener('abort', kill);
      if (over !== null) return;
      child.kill('SIGTERM');
      const late = setTimeout(kill, graceMs);
      await exited;
      clearTimeout(late);
    },
  };
}
