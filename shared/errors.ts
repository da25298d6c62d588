// The one error class. Code is for programs, message for logs, hint for the person on call. The table
// of codes is in error-codes.ts.

import { CODES } from './error-codes.ts';

export type Code = keyof typeof CODES;

export interface ErrorOptions {
  /** What a person should run or change next. */
  readonly hint: string;
  readonly cause?: unknown;
  /** Values for programs; never secrets. */
  readonly details?: Readonly<Record<string, unknown>>;
}

/** The same in every bundle: the packaged command loads the agent, which brings this class once more. */
const BRAND = Symbol.for('dev.billet.error');

export class BilletError extends Error {
  static override [Symbol.hasInstance](value: unknown): boolean {
    return typeof value === 'object' && value !== null && BRAND in value;
  }

  override readonly name = 'BilletError';
  readonly code: Code;
  readonly hint: string;
  readonly details: Readonly<Record<string, unknown>>;

  constructor(code: Code, message: string, options: ErrorOptions) {
    super(message, { cause: options.cause });
    this.code = code;
    this.hint = options.hint;
    this.details = options.details ?? {};
  }

  get [BRAND](): true {
    return true;
  }

  get status(): number {
    return CODES[this.code].status;
  }

  get retryable(): boolean {
    return CODES[this.code].retry;
  }
}
