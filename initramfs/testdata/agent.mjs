// Stands in for the agent where the initramfs itself is tested: ends with an error once, then makes a
// root of busybox and ends well.
import { execFileSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, readlinkSync, symlinkSync, writeFileSync } from 'node:fs';
import { basename } from 'node:path';

const run = (...argv) => execFileSync(argv[0], argv.slice(1), { encoding: 'utf8' });
console.log(`TEST agent verb=${process.argv[2]} node=${process.version}`);
if (!existsSync('/run/once')) {
  writeFileSync('/run/once', '');
  process.exit(3);
}

const link = readdirSync('/sys/class/net').find((name) => name !== 'lo');
console.log(`TEST nic=${basename(readlinkSync(`/sys/class/net/${link}/device/driver`))}`);
run('ip', 'link', 'set', link, 'up');
run('udhcpc', '-n', '-q', '-f', '-i', link, '-s', '/usr/share/udhcpc/default.script');
const lease = Object.fromEntries(
  readFileSync(`/run/udhcpc/${link}.4`, 'utf8').trim().split('\n').map((line) => line.split('=')),
);
console.log(`TEST lease=${lease.ip}/${lease.mask} dns=${lease.dns}`);

// What the agent needs: ext4 with fs-verity in a loop file, overlay and EROFS in this kernel.
run('dd', 'if=/dev/zero', 'of=/run/disk', 'bs=1M', 'count=16', 'status=none');
run('mke2fs', '-q', '-F', '-t', 'ext4', '-O', 'verity', '-b', '4096', '-L', 'billet-test', '/run/disk');
run('losetup', '/dev/loop0', '/run/disk');
console.log(`TEST label=${run('blkid', '-s', 'LABEL', '-o', 'value', '/dev/loop0').trim()}`);
run('mount', '-t', 'ext4', '/dev/loop0', '/sysroot');
const systems = readFileSync('/proc/filesystems', 'utf8').split(/\s+/);
console.log(`TEST filesystems=${['ext4', 'erofs', 'overlay'].filter((name) => systems.includes(name))}`);

for (const dir of ['bin', 'sbin', 'proc', 'sys', 'dev', 'run']) mkdirSync(`/sysroot/${dir}`);
copyFileSync('/usr/bin/busybox', '/sysroot/bin/busybox');
symlinkSync('busybox', '/sysroot/bin/sh');
writeFileSync('/sysroot/sbin/init', `#!/bin/sh
echo "TEST second pid=$$ root=$(stat -f -c %T /) once=$([ -e /run/once ] && echo kept)"
for dir in proc sys dev run; do grep -q " /$dir " /proc/mounts && echo "TEST moved=$dir"; done
echo "TEST left=$(ps | grep -c -E '[u]event|[t]ee ')"
poweroff -f
`, { mode: 0o755 });
