// `status` and `plan`: asks the agent that runs on this machine over its local socket, and prints
// the answer for people or programs.

import { request } from 'node:http';
import { join } from 'node:path';
import { z } from 'zod';
import { problemError } from '#shared/client/problem.ts';
import { BilletError } from '#shared/errors.ts';
import { Condition, ModuleState } from '#shared/schema/heartbeat.ts';
import { describe, Step } from './reconcile/steps.ts';
import { STATUS_SOCKET } from './report/status-socket.ts';

const Status = z.object({
  instance: z.string(),
  coordinator: z.string(),
  phase: z.string(),
  generation: z.int(),
  staged: z.int().nullable(),
  confirmed: z.int().nullable(),
  modules: z.array(ModuleState),
  conditions: z.array(Condition),
  lastReconcile: z
    .object({ at: z.string(), outcome: z.string(), message: z.string().optional() })
    .optional(),
  link: z.object({
    connected: z.boolean(),
    lastReplyAt: z.string().nullable(),
    problem: z.string().nullable(),
    certificateNotAfter: z.string(),
  }),
});

/** JSON as the agent gave it, or lines. Throws UNAVAILABLE when no agent runs here. */
export async function askStatus(runDir: string, json: boolean): Promise<string> {
  const text = await ask(runDir, '/status');
  return json ? text : statusLines(Status.parse(JSON.parse(text)));
}

export async function askPlan(runDir: string, json: boolean): Promise<string> {
  const text = await ask(runDir, '/plan');
  if (json) return text;
  const steps = z.array(Step).parse(JSON.parse(text));
  return steps.length === 0
    ? 'nothing to do\n'
    : steps.map((step) => `${describe(step)}\n`).join('');
}

function statusLines(status: z.infer<typeof Status>): string {
  const { link, lastReconcile } = status;
  const rows: [string, string][] = [
    ['instance', status.instance],
    ['coordinator', status.coordinator],
    ['link', link.problem ?? (link.connected ? 'connected' : 'over HTTP')],
    ['last reply', link.lastReplyAt ?? 'never'],
    ['certificate', `until ${link.certificateNotAfter}`],
    ['phase', status.phase],
    ['generation', String(status.generation)],
    [
      'staged',
      status.staged === null ? 'nothing' : `generation ${status.staged}, at the next boot`,
    ],
    ['confirmed', status.confirmed === null ? 'none' : `generation ${status.confirmed}`],
    [
      'reconcile',
      lastReconcile === undefined
        ? 'not yet'
        : [lastReconcile.outcome, lastReconcile.at, lastReconcile.message ?? ''].join(' ').trim(),
    ],
    ...status.modules.map((module): [string, string] => [
      'module',
      `${module.name} ${module.version} ${module.state}`,
    ]),
    ...status.conditions.map(({ code, text, hint }): [string, string] => [
      'condition',
      `${code}: ${text}\n${' '.repeat(14)}${hint}`,
    ]),
  ];
  return rows.map(([name, value]) => `${name.padEnd(13)} ${value}\n`).join('');
}

function ask(runDir: string, path: string): Promise<string> {
  const socketPath = join(runDir, STATUS_SOCKET);
  return new Promise((resolve, reject) => {
    const asked = request({ socketPath, path, timeout: 30_000 }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
      });
      response.on('end', () => {
        const { statusCode = 500 } = response;
        if (statusCode === 200) resolve(text);
        else reject(problemError(statusCode, text, path));
      });
    });
    asked.on('timeout', () => asked.destroy(new Error('no answer within 30 s')));
    asked.on('error', (cause) =>
      reject(
        new BilletError('UNAVAILABLE', `no agent answers at ${socketPath}: ${cause.message}`, {
          hint: 'on the node, as root: systemctl status billet-agent',
          cause,
        }),
      ),
    );
    asked.end();
  });
}
