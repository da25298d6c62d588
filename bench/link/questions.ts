// What goes over the IPC channel between a bench and the processes that it starts, and the side of
// those that answer. Starts nothing.

export interface Question {
  readonly id: number;
  readonly what: string;
  readonly input: unknown;
}

export type Answer =
  | { readonly id: number; readonly answer: unknown }
  | { readonly id: number; readonly error: string };

export type Answers = Readonly<Record<string, (input: never) => unknown>>;

/** Answers each question by the function of its name. Does not keep the process alive. */
export function answerQuestions(answers: Answers): void {
  process.on('message', ({ id, what, input }: Question) => {
    const send = (answer: Answer) => process.send?.(answer);
    const failed = (error: unknown) =>
      send({ id, error: error instanceof Error ? (error.stack ?? error.message) : String(error) });
    const known = answers[what] as ((input: unknown) => unknown) | undefined;
    if (known === undefined) return failed(`no answer to ${what}`);
    // A failure that is thrown at once is one like any other.
    return Promise.try(known, input).then((answer) => send({ id, answer }), failed);
  });
  process.channel?.unref();
}
