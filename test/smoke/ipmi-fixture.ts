// A BMC that speaks IPMI 2.0 over RMCP+: ipmi_sim of OpenIPMI (Debian package openipmi), the real peer.
// Its machine is a program that keeps power and boot device in files, and its serial line a socket.

import { spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { systemClock } from '#shared/clock.ts';

export interface IpmiBmc extends AsyncDisposable {
  /** ipmi://127.0.0.1:PORT?cipher=3: it lists no cipher suites, and asking takes seconds. */
  readonly url: string;
  power(): 'on' | 'off';
  bootDevice(): string;
  /** Onto the serial line of the machine. */
  say(text: string): void;
}

/** ipmi_sim asks it for what it is to do: `0x20 get power`, `0x20 set boot cdrom`. */
const CONTROL = `#!/bin/sh
set -eu
dir=$1 op=$3
shift 3
while [ $# -gt 0 ]; do
  case "$op $1" in
    'get power') echo "power:$(cat "$dir/power")" ;;
    'get boot') echo "boot:$(cat "$dir/boot")" ;;
    'set power') [ -e "$dir/lies" ] || echo "$2" > "$dir/power" ;;
    'set boot') echo "$2" > "$dir/boot" ;;
  esac
  [ "$op" = set ] && shift 2 || shift
done
`;

export async function startIpmi(dir: string, { lies = false } = {}): Promise<IpmiBmc> {
  const file = (name: string) => join(dir, name);
  writeFileSync(file('power'), '0');
  writeFileSync(file('boot'), 'default');
  if (lies) writeFileSync(file('lies'), '');
  writeFileSync(file('control'), CONTROL);
  chmodSync(file('control'), 0o755);
  mkdirSync(file('state'), { recursive: true });
  const lines: Socket[] = [];
  const serial = createServer((socket) => lines.push(socket.on('error', () => undefined)));
  serial.listen(0, '127.0.0.1');
  await once(serial, 'listening');
  const { port: serialPort } = serial.address() as { port: number };
  const port = await freeUdpPort();
  writeFileSync(file('lan.conf'), config(file('control'), dir, port, serialPort));
  writeFileSync(file('bmc.emu'), BMC);
  const words = ['-c', file('lan.conf'), '-f', file('bmc.emu'), '-s', file('state'), '-n'];
  // It ends with this process, however that ends.
  const program = ['--pdeathsig', 'KILL', '--', 'ipmi_sim', ...words];
  const simulator = spawn('setpriv', program, { stdio: 'ignore' });
  await once(simulator, 'spawn');
  const limit = AbortSignal.timeout(START_MS);
  while (lines.length === 0) await systemClock.sleep(20, limit);
  return {
    url: `ipmi://127.0.0.1:${port}?cipher=3`,
    power: () => (readFileSync(file('power'), 'utf8').trim() === '1' ? 'on' : 'off'),
    bootDevice: () => readFileSync(file('boot'), 'utf8').trim(),
    say: (text) => lines.at(-1)?.write(text),
    async [Symbol.asyncDispose]() {
      const ended = once(simulator, 'exit');
      simulator.kill('SIGKILL');
      await ended;
      for (const line of lines) line.destroy();
      serial.close();
    },
  };
}

const START_MS = 20_000;
const AUTHS = 'none md2 md5 straight';

const config = (control: string, dir: string, port: number, serialPort: number) => `
name "billet"
set_working_mc 0x20
  startlan 1
    addr 127.0.0.1 ${port}
    priv_limit admin
    allowed_auths_user ${AUTHS}
    allowed_auths_operator ${AUTHS}
    allowed_auths_admin ${AUTHS}
    guid a123456789abcdefa123456789abcdef
  endlan
  chassis_control "${control} ${dir} 0x20"
  user 1 true "" "" user 10 none md2 md5 straight
  user 2 true "operator" "calvin-1" admin 10 none md2 md5 straight
  sol "tcp:127.0.0.1:${serialPort}" 115200
`;

const BMC = `
mc_setbmc 0x20
mc_add 0x20 0 no-device-sdrs 0x23 9 8 0x9f 0x1291 0xf02 persist_sdr
sel_enable 0x20 1000 0x0a
mc_enable 0x20
`;

async function freeUdpPort(): Promise<number> {
  const socket = createSocket('udp4').bind(0, '127.0.0.1');
  await once(socket, 'listening');
  const { port } = socket.address();
  socket.close();
  return port;
}
