// A process for crash.test.ts: reconciles a node in a directory, and kills itself (SIGKILL) right
// after the nth entry of the journal.

import { type ScenarioName, scenario, settle } from './testing-crash.ts';

const [dir = '', name = '', killAt = ''] = process.argv.slice(2);
const chosen = scenario(name as ScenarioName);
let entries = 0;
await settle(dir, chosen, chosen.after, async (what) => {
  if (!what.startsWith('after ')) return;
  entries += 1;
  if (entries === Number(killAt)) process.kill(process.pid, 'SIGKILL');
});
