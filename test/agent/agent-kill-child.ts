// A process for agent-kill.peer.ts: one life of the agent, which kills itself (SIGKILL) at its nth
// point.

import { live } from './agent-lives.ts';
import { SCENARIOS, type ScenarioName } from './agent-scenarios.ts';

const [dir = '', name = '', nth = ''] = process.argv.slice(2);
let passed = 0;
await live(dir, SCENARIOS[name as ScenarioName].dying, async () => {
  if (passed++ === Number(nth)) process.kill(process.pid, 'SIGKILL');
});
