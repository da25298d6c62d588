import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type QemuSpec, qemuArguments } from './arguments.ts';

const spec: QemuSpec = {
  name: 'n1',
  accelerator: 'tcg',
  memoryMib: 512,
  cpus: 2,
  uuid: '11111111-2222-4333-8444-555555555555',
  mac: '52:54:00:00:00:02',
};
const paths = { qmp: '/run/q', serial: '/run/s', second: '/run/t' };

test('a comma in a path stays one option of QEMU', () => {
  const line = qemuArguments(
    { ...spec, disks: [{ path: '/a,readonly=on/b', format: 'raw', serial: 'd0' }] },
    paths,
  );
  assert.ok(line.some((word) => word.includes('file=/a,,readonly=on/b,')));
});

test('a line break in an option is refused', () => {
  assert.throws(() => qemuArguments({ ...spec, name: 'a\nb' }, paths), {
    code: 'ARGUMENT_INVALID',
  });
});

test('a network boot is the first boot device, and ports are forwarded from loopback only', () => {
  const line = qemuArguments(
    {
      ...spec,
      bootUrl: 'http://10.0.2.2:1/boot.ipxe',
      forward: [{ hostPort: 18080, guestPort: 8080 }],
    },
    paths,
  ).join(' ');
  assert.match(line, /bootfile=http:\/\/10\.0\.2\.2:1\/boot\.ipxe/);
  assert.match(line, /hostfwd=tcp:127\.0\.0\.1:18080-:8080/);
  assert.match(line, /bootindex=1/);
});

test('a machine with UEFI has a variable store of its own, its media read only, and no code that is written', () => {
  const line = qemuArguments(
    {
      ...spec,
      firmware: { code: '/fw/code', vars: '/m/vars', secureBoot: true },
      cdrom: '/m/billet.iso',
      usbStick: '/m/billet.iso',
      tpmSocket: '/m/tpm',
      disks: [{ path: '/m/disk', format: 'raw', serial: 'root', faults: '/m/faults' }],
    },
    paths,
  ).join(' ');
  assert.match(line, /if=pflash,unit=0,format=raw,readonly=on,file=\/fw\/code/);
  assert.match(line, /if=pflash,unit=1,format=raw,file=\/m\/vars/);
  assert.match(line, /smm=on .*property=secure,value=on/);
  assert.match(line, /id=cdrom0,media=cdrom,readonly=on/);
  assert.match(line, /id=stick0,readonly=on/);
  assert.match(line, /file=blkdebug:\/m\/faults:\/m\/disk,format=raw/);
  assert.match(line, /tpm-crb,tpmdev=tpmdev0/);
});
