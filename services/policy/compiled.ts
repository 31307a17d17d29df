/** A policy set that was read and validated: what can be asked. */
import type { Digest } from "../../schemas/ids.ts";
import type { Ask, Effect } from "../../schemas/judgement.ts";
import type { PolicyTexts } from "./engine.ts";
import type { Reads } from "./reads.ts";

export interface CompiledPolicy {
  readonly id: string;
  readonly effect: "permit" | "forbid";
  /** `<set>/<file>`, or the path that the set was loaded from. */
  readonly file: string;
  readonly line: number;
  /** Present on a forbid that people may lift. */
  readonly ask?: Ask;
}

export interface CompiledPolicySet {
  readonly name: string;
  /** The digest of the stored document. */
  readonly digest: Digest;
  readonly policies: ReadonlyMap<string, CompiledPolicy>;
  readonly texts: PolicyTexts;
  /** The same without the forbids that ask: what would hold once everybody asked has agreed. */
  readonly textsOnceAgreed: PolicyTexts;
  /** What the policies that can speak of a call of that effect read. */
  readonly reads: Readonly<Record<Effect, Reads>>;
}
