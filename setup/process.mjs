// Runs one program with a line of progress, or hands the terminal over to it. Runs on any Node from
// 18 on, so it uses nothing newer.
// @ts-check

import { spawn } from 'node:child_process';
import { constants } from 'node:os';

/** How much of a failed program's output is shown. */
const TAIL_BYTES = 16 * 1024;
const REDRAW_MS = 1000;
/** Without a terminal: one line this often. */
const REPORT_MS = 15_000;

/**
 * @typedef {object} Outcome
 * @property {number} code the exit code, or 128 + the signal's number, as a shell counts
 * @property {string} output the end of stdout and stderr
 */

/**
 * Runs `argv`, showing `title` and the seconds so far. `status` turns a line that the program writes
 * on file descriptor 3 into a word of progress, or null. Nothing is thrown for a non-zero code.
 * @param {string} title
 * @param {readonly [string, ...string[]]} argv
 * @param {{ env: NodeJS.ProcessEnv, status?: (line: string) => string | null }} options
 * @returns {Promise<Outcome>}
 */
export function runWithProgress(title, argv, options) {
  const [file, ...args] = argv;
  const progress = startProgress(title);
  return new Promise((resolve, reject) => {
    const child = spawn(file, args, {
      env: options.env,
      stdio: ['ignore', 'pipe', 'pipe', options.status ? 'pipe' : 'ignore'],
    });
    const release = surviveInterrupt(child);
    let output = '';
    /** @param {Buffer} chunk */
    const keep = (chunk) => {
      output = (output + chunk.toString()).slice(-TAIL_BYTES);
    };
    child.stdout?.on('data', keep);
    child.stderr?.on('data', keep);
    const { status } = options;
    if (status)
      child.stdio[3]?.on('data', (/** @type {Buffer} */ chunk) => {
        for (const line of chunk.toString().split('\n')) {
          const word = status(line);
          if (word !== null) progress.say(word);
        }
      });
    child.once('error', (error) => {
      release();
      progress.end('could not be started');
      reject(error);
    });
    child.once('close', (code, signal) => {
      release();
      const exit = code ?? 128 + (signal ? constants.signals[signal] : 0);
      progress.end(exit === 0 ? 'done' : `failed (${exit})`);
      resolve({ code: exit, output });
    });
  });
}

/**
 * Gives stdin, stdout and stderr to `argv` and waits for its end. Ctrl-C reaches it from the
 * terminal; SIGTERM and SIGHUP are passed on.
 * @param {readonly [string, ...string[]]} argv
 * @param {NodeJS.ProcessEnv} env
 * @returns {Promise<number>} the exit code, or 128 + the signal's number
 */
export function handOver(argv, env) {
  const [file, ...args] = argv;
  return new Promise((resolve, reject) => {
    const child = spawn(file, args, { env, stdio: 'inherit' });
    const release = surviveInterrupt(child);
    child.once('error', (error) => {
      release();
      reject(error);
    });
    child.once('exit', (code, signal) => {
      release();
      resolve(code ?? 128 + (signal ? constants.signals[signal] : 0));
    });
  });
}

/**
 * As handOver, for one of several at once: it has no input, and what it says comes back in one piece.
 * @param {readonly [string, ...string[]]} argv
 * @param {NodeJS.ProcessEnv} env
 * @returns {Promise<Outcome>}
 */
export function runAside(argv, env) {
  const [file, ...args] = argv;
  return new Promise((resolve, reject) => {
    const child = spawn(file, args, { env, stdio: ['ignore', 'pipe', 'pipe'] });
    const release = surviveInterrupt(child);
    /** @type {Buffer[]} */
    const chunks = [];
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (/** @type {Buffer} */ chunk) => void chunks.push(chunk));
    child.once('error', (error) => {
      release();
      reject(error);
    });
    child.once('close', (code, signal) => {
      release();
      const exit = code ?? 128 + (signal ? constants.signals[signal] : 0);
      resolve({ code: exit, output: Buffer.concat(chunks).toString() });
    });
  });
}

/**
 * This process stays until its child has ended, so that the child can clean up.
 * @param {import('node:child_process').ChildProcess} child
 */
function surviveInterrupt(child) {
  const interrupt = () => {
    // A terminal sends Ctrl-C to the whole foreground group: the child has it already.
    if (!process.stdin.isTTY) child.kill('SIGINT');
  };
  const terminate = () => child.kill('SIGTERM');
  const hangUp = () => child.kill('SIGHUP');
  process.on('SIGINT', interrupt).on('SIGTERM', terminate).on('SIGHUP', hangUp);
  return () => {
    process.off('SIGINT', interrupt).off('SIGTERM', terminate).off('SIGHUP', hangUp);
  };
}

/** @param {string} title */
function startProgress(title) {
  const terminal = process.stderr.isTTY === true;
  const start = Date.now();
  let word = '';
  const seconds = () => Math.round((Date.now() - start) / 1000);
  const line = () => `${title} … ${word === '' ? '' : `${word}, `}${seconds()} s`;
  const draw = () => process.stderr.write(terminal ? `\r\u001b[K${line()}` : `${line()}\n`);
  draw();
  const timer = setInterval(draw, terminal ? REDRAW_MS : REPORT_MS);
  return {
    /** @param {string} text */
    say(text) {
      word = text;
    },
    /** @param {string} how */
    end(how) {
      clearInterval(timer);
      process.stderr.write(`${terminal ? '\r\u001b[K' : ''}${title}: ${how}, ${seconds()} s\n`);
    },
  };
}
