// A process for nix-kill.peer.ts: one life of the agent on a node that is there, which kills itself
// (SIGKILL) at its nth point. Arguments: the node's directory, the life as JSON, n.

import { type Life, live } from './nix-life.ts';
import { openNode } from './nix-node-fixture.ts';

const [dir = '', life = '', nth = ''] = process.argv.slice(2);
let passed = 0;
await live(openNode(dir), {
  ...(JSON.parse(life) as Life),
  async before() {
    if (passed++ === Number(nth)) process.kill(process.pid, 'SIGKILL');
  },
});
