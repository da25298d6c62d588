import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { testIo } from '../../cli/testing.ts';
import { chart, stageLine, terminalView } from './view.ts';

test('no line of the demo is wider than the screen, whatever a node writes', () => {
  const long = 'x'.repeat(200);
  for (const columns of [80, 120]) {
    assert.ok(stageLine(long, long, 1234.5, columns).length <= columns);
    for (const line of chart([{ title: long, detail: '', atSeconds: 99, seconds: 99 }], columns))
      assert.ok(line.length <= columns);
  }
});

test('what goes on is told on one line of the screen where there is no terminal, too', async () => {
  const { io, stdout } = testIo();
  let now = 0;
  const clock = { ...io.clock, monotonic: () => now };
  const view = terminalView({ ...io, clock });
  try {
    view.live(`billet signal list ${'--flag '.repeat(20)}`);
    now = 60_000;
    for (let turns = 0; turns < 100 && stdout() === ''; turns += 1) await delay(10);
    assert.match(stdout(), /^ {2}… billet signal list .*…, 60 s\n$/);
    assert.ok(stdout().trimEnd().length <= io.columns);
  } finally {
    view.close();
  }
});

test('a node can neither move the cursor nor forge a line of the demo', () => {
  assert.doesNotMatch(stageLine('Network', '\u001b[2Jroot\nfake', 1, 80), /\p{Cc}/u);
});

test('the longest stage has the longest bar', () => {
  const stage = (seconds: number) => ({ title: 't', detail: '', atSeconds: 0, seconds });
  const [short = '', long = ''] = chart([stage(1), stage(10)], 80);
  assert.ok(short.length < long.length);
});
