// The route table: every endpoint of /v1 under its name. Handlers, client and documents read it.

import * as admin from './admin.ts';
import * as architecture from './architecture.ts';
import * as backup from './backup.ts';
import * as capacity from './capacity.ts';
import * as claim from './claim.ts';
import * as classes from './class.ts';
import * as drain from './drain.ts';
import * as install from './install.ts';
import * as instanceType from './instance-type.ts';
import * as node from './node.ts';
import * as operator from './operator.ts';
import * as platform from './platform.ts';
import * as pool from './pool.ts';
import * as provider from './provider.ts';
import * as publication from './publication.ts';
import * as region from './region.ts';
import type { Route } from './route.ts';
import * as runbook from './runbook.ts';
import * as signal from './signal.ts';
import * as task from './task.ts';
import * as template from './template.ts';
import * as why from './why.ts';

export const routes = {
  ...node,
  ...claim,
  ...operator,
  ...install,
  ...admin,
  ...architecture,
  ...platform,
  ...provider,
  ...publication,
  ...template,
  ...region,
  ...instanceType,
  ...classes,
  ...pool,
  ...drain,
  ...signal,
  ...task,
  ...backup,
  ...why,
  ...capacity,
  ...runbook,
} as const satisfies Record<string, Route>;

export type Routes = typeof routes;
export type RouteName = keyof Routes;
