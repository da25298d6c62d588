// What a Redfish service says has gone wrong, as our errors: its own messages are the message, its
// resolutions the hint. Pure.

import type { z } from 'zod';
import { BilletError, type Code } from '#shared/errors.ts';
import { ErrorBody, type Message } from './schema.ts';

const TEXT_MAX = 512;

/** Of a response with a status from 400 on, to what was asked. */
export function problemOf(status: number, body: unknown, asked: string): BilletError {
  const error = ErrorBody.safeParse(body).data?.error;
  const messages = error?.['@Message.ExtendedInfo'] ?? [];
  const said = textOf(messages) || error?.message || '';
  const denied = status === 401 || status === 403;
  const code: Code = denied ? 'BMC_DENIED' : 'BMC_FAILED';
  const ids = messages.flatMap(({ MessageId }) => MessageId ?? []);
  return new BilletError(code, `${asked}: the BMC answers ${status}${said && `: ${said}`}`, {
    hint:
      resolutionOf(messages) ||
      (denied
        ? 'check user and password, and that the user may do this (role Administrator or Operator)'
        : 'look at the log of the BMC; a restart of the BMC (not of the machine) often helps'),
    details: { status, messages: ids },
  });
}

/** Of a task that did not complete. */
export function taskProblem(
  state: string,
  messages: readonly z.infer<typeof Message>[],
  asked: string,
): BilletError {
  const said = textOf(messages);
  return new BilletError(
    'BMC_FAILED',
    `${asked}: its task ended as ${state}${said && `: ${said}`}`,
    {
      hint: resolutionOf(messages) || 'look at the task and at the log of the BMC',
      details: { state, messages: messages.flatMap(({ MessageId }) => MessageId ?? []) },
    },
  );
}

/** Whether one of the messages is `name` of any registry: `Base.1.18.0.PropertyUnknown`. */
export const hasMessage = (error: unknown, ...names: readonly string[]): boolean =>
  error instanceof BilletError &&
  Array.isArray(error.details.messages) &&
  error.details.messages.some((id) => names.includes(String(id).split('.').at(-1) ?? ''));

const textOf = (messages: readonly z.infer<typeof Message>[]) =>
  messages
    .flatMap(({ Message: text, MessageId }) => text ?? MessageId ?? [])
    .join(' ')
    .slice(0, TEXT_MAX);

const resolutionOf = (messages: readonly z.infer<typeof Message>[]) =>
  messages
    .flatMap(({ Resolution }) => (Resolution && !/^none\.?$/i.test(Resolution) ? Resolution : []))
    .join(' ')
    .slice(0, TEXT_MAX);
