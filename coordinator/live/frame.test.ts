// Frames as another implementation reads them: the receiver of ws.

import assert from 'node:assert/strict';
import type { Writable } from 'node:stream';
import { test } from 'node:test';
import * as ws from 'ws';
import { textFrame } from './frame.ts';

/** Exported, and missing in the types. */
const { Receiver } = ws as unknown as {
  readonly Receiver: new (options: { readonly isServer: boolean }) => Writable;
};

for (const length of [0, 1, 125, 126, 127, 65_535, 65_536, 200_000])
  test(`a text of ${length} bytes is read back by ws`, () => {
    const text = length < 3 ? 'x'.repeat(length) : `€${'x'.repeat(length - 3)}`;
    const receiver = new Receiver({ isServer: false });
    const read: string[] = [];
    receiver.on('message', (data: Buffer, isBinary: boolean) =>
      read.push(isBinary ? 'binary' : String(data)),
    );
    receiver.on('error', (error) => read.push(error.message));
    // Twice: the second is read only if the first ended where it should.
    receiver.write(Buffer.concat([textFrame(text), textFrame('and again')]));
    assert.deepEqual(read, [text, 'and again']);
  });
