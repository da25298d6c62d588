// What references to modules and boot images mean now, asked of the coordinator's own registry.

import { readBootImage } from './artifact/boot-artifact.ts';
import { parseLocalReference } from './artifact/local-reference.ts';
import { readModuleRef } from './artifact/module-ref.ts';
import type { Coordinator } from './client.ts';
import type { CommandIo } from './command-io.ts';
import type { Resolve } from './node-spec.ts';
import { openRepository } from './registry.ts';

export const resolver = (io: CommandIo, coordinator: Coordinator): Resolve => ({
  module(text) {
    const { repository, reference } = parseLocalReference(text, '--module');
    return readModuleRef(openRepository(io, coordinator, repository), repository, reference);
  },
  bootImage(text) {
    const { repository, reference } = parseLocalReference(text, '--boot-image');
    return readBootImage(openRepository(io, coordinator, repository), repository, reference);
  },
});
