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

export class BilletError extends Error {
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

  get status(): number {
    return CODES[this.code].status;
  }

  get retryable(): boolean {
    return CODES[this.code].retry;
  }
}
