/**
 * The plane's own agent and tool: a change of documents is a run of theirs (POL-6), proposed, judged, approved, claimed
 * and recorded as any other. They are documents like all others, stored under their digests, and are in force by being
 * here: nobody can apply another version, because nobody may apply a document of such a name.
 */
import { canonicalBytes, sha256Digest } from "../../schemas/canonical.ts";
import { type Contract, contractSchema } from "../../schemas/contract.ts";
import type { Cause } from "../../schemas/event.ts";
import { actor, type Digest, RESERVED_PREFIX, type RunId, runId, startingAgent, toolName } from "../../schemas/ids.ts";
import { type Tool, toolSchema } from "../../schemas/tool.ts";

export const BUILT_IN_AGENT = actor(`${RESERVED_PREFIX}registry`);
/** The name under which every gateway puts the documents of a change in force. */
const CARRIER = actor(`${RESERVED_PREFIX}gateway`);
export const BUILT_IN_TOOL = toolName("signalbox.apply");
/** Tools under it are the plane's own. */
export const RESERVED_TOOLS = "signalbox.";

/** Attempts may stop anywhere: what is in force already is left as it is by the next. */
const TIMEOUT_MS = 15_000;
const RETRIES = 5;

const digest = { type: "string", pattern: "^sha256:[0-9a-f]{64}$" };
const kind = { enum: ["issuer", "person", "budget", "tool", "agent", "policy"] };
const name = { type: "string", minLength: 1, maxLength: 512 };

const contract: Contract = contractSchema.parse({
  agent: {
    name: BUILT_IN_AGENT,
    version: "1",
    owner: "signalbox",
    team: "signalbox",
    purpose: "puts in force what an operator applies, all of it or nothing",
  },
  tools: { allowlist: [{ name: BUILT_IN_TOOL }] },
});

const tool: Tool = toolSchema.parse({
  name: BUILT_IN_TOOL,
  description: "Puts documents in force that are stored, each as a version of its own. Judged by the plane's own rule, never by a policy set.",
  input: {
    type: "object",
    properties: {
      documents: {
        type: "array",
        minItems: 1,
        maxItems: 512,
        items: {
          type: "object",
          properties: { kind, name, document: digest },
          required: ["kind", "name", "document"],
          additionalProperties: false,
        },
      },
      reason: { type: "string", maxLength: 4096 },
    },
    required: ["documents"],
    additionalProperties: false,
  },
  output: {
    type: "object",
    properties: {
      documents: {
        type: "array",
        maxItems: 512,
        items: {
          type: "object",
          properties: { kind, name, document: digest, version: { type: "integer", minimum: 1 }, outcome: { enum: ["applied", "in_force"] } },
          required: ["kind", "name", "document", "version", "outcome"],
          additionalProperties: false,
        },
      },
    },
    required: ["documents"],
    additionalProperties: false,
  },
  effect: "write",
  timeout_ms: TIMEOUT_MS,
  retries: RETRIES,
  idempotent: true,
  trusted: true,
  adapter: { type: "registry" },
});

export interface BuiltIn<T> {
  readonly value: T;
  readonly bytes: Uint8Array;
  readonly digest: Digest;
}

export const BUILT_IN_CONTRACT: BuiltIn<Contract> = builtIn(contract);
export const BUILT_IN_DEFINITION: BuiltIn<Tool> = builtIn(tool);

/** What must be stored before the first change is recorded: whoever reads it later looks these up by their digests. */
export const BUILT_IN_DOCUMENTS: readonly BuiltIn<unknown>[] = [BUILT_IN_CONTRACT, BUILT_IN_DEFINITION];

/** Whether a run is a change of documents. */
export function isChange(run: RunId): boolean {
  return startingAgent(run) === BUILT_IN_AGENT;
}

/**
 * The id under which a gateway applies one document of a change, and from which the document's own history finds its
 * change again. One for each attempt: what another change replaced in between is put in force again, and is not taken
 * for done.
 */
export function changeInputId(run: RunId, action: string, attempt: number): string {
  return `${run.replace("_", ":")}.${action}.${attempt}`;
}

/**
 * The change, and its action, behind what put a document in force; undefined for one that was applied on its own. Who
 * sends an input chooses its id, so the id alone says nothing: only gateways carry changes out.
 */
export function changeOf({ id, actor: by }: Pick<Cause, "id" | "actor">): { readonly run: RunId; readonly action: string } | undefined {
  const [, agent, name = "", action = ""] = /^([a-z0-9-]+):([A-Za-z0-9-]+)\.(a[0-9]+)\.[0-9]+$/.exec(id) ?? [];
  return by === CARRIER && agent === BUILT_IN_AGENT ? { run: runId(`${agent}_${name}`), action } : undefined;
}

function builtIn<T>(value: T): BuiltIn<T> {
  const bytes = canonicalBytes(value);
  return { value, bytes, digest: sha256Digest(bytes) };
}
