// The route table: every endpoint of /v1 under its name. Handlers, client and documents read it.

import * as admin from './admin.ts';
import * as claim from './claim.ts';
import * as node from './node.ts';
import * as operator from './operator.ts';
import type { Route } from './route.ts';

export const routes = { ...node, ...claim, ...operator, ...admin } as const satisfies Record<
  string,
  Route
>;

export type Routes = typeof routes;
export type RouteName = keyof Routes;
