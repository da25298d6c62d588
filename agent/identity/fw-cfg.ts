// Identity from QEMU's fw_cfg device: one file a key, or one JSON file `identity`. Needs the
// qemu_fw_cfg kernel module; reads sysfs only.

import { join } from 'node:path';
import { IDENTITY_KEYS } from '#shared/schema/identity.ts';
import { parseIdentityJson } from './identity-json.ts';
import { textOrNull } from './source-file.ts';
import type { IdentityStrategy, IdentityValues } from './strategy.ts';

/** QEMU docs/specs/fw_cfg.rst: what users add stands under opt/, here under opt/billet/. */
const FOLDER = 'sys/firmware/qemu_fw_cfg/by_name/opt/billet';

export function fwCfgStrategy({ root = '/' }: { readonly root?: string } = {}): IdentityStrategy {
  const read = (key: string) => textOrNull(join(root, FOLDER, key, 'raw'));
  return {
    name: 'fw-cfg',
    place:
      '-fw_cfg name=opt/billet/coordinator,string=… for each key, or opt/billet/identity as JSON',
    async read() {
      const whole = await read('identity');
      if (whole !== null) return parseIdentityJson(whole, 'fw_cfg opt/billet/identity');
      const found: IdentityValues = {};
      for (const key of IDENTITY_KEYS) {
        const text = await read(key);
        // A file given with file= often ends in a newline, and one given with string= in a NUL.
        if (text !== null) found[key] = text.replace(/[\0\s]+$/, '');
      }
      return Object.keys(found).length === 0 ? null : found;
    },
  };
}
