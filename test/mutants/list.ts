/**
 * For each law of DESIGN small faults that the suite must catch: a law that can be broken without a test failing is
 * only a wish. `npm run mutants` puts them in one by one; `list.unit.test.ts` keeps the list in step with the code.
 */
import { OF_CACHES } from "./caches.ts";
import { OF_COMMITS } from "./commits.ts";
import type { Mutant } from "./mutant.ts";
import { OF_OWNERS } from "./owners.ts";
import { OF_PERSONS } from "./personal.ts";
import { OF_ROLES } from "./roles.ts";
import { OF_STATE } from "./state.ts";

export const MUTANTS: readonly Mutant[] = [...OF_COMMITS, ...OF_STATE, ...OF_CACHES, ...OF_ROLES, ...OF_PERSONS, ...OF_OWNERS];
