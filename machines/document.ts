/** A contract, tool or policy set in the registry: every version that was ever applied, in order. */
import { assign, setup } from "xstate";
import type { EventType } from "../schemas/event.ts";
import type { Digest } from "../schemas/ids.ts";

export interface DocumentContext {
  readonly applied: Extract<EventType, `${string}.applied`>;
  readonly document: Digest | undefined;
  readonly previous: Digest | undefined;
  readonly version: number;
}
export type DocumentEvent = { readonly type: "APPLY"; readonly document: Digest };

interface Args {
  readonly context: DocumentContext;
  readonly event: DocumentEvent;
}

const apply = (from: string) => ({
  // the same document again changes nothing
  guard: ({ context, event }: Args) => event.document !== context.document,
  target: "applied",
  actions: [
    assign<DocumentContext, DocumentEvent, undefined, DocumentEvent, never>(({ context, event }) => ({
      document: event.document,
      previous: context.document,
      version: context.version + 1,
    })),
    {
      type: "took" as const,
      params: ({ context, event }: Args) => ({
        type: context.applied,
        from,
        to: "applied",
        data: {
          document: event.document,
          version: context.version,
          ...(context.previous !== undefined && { previous: context.previous }),
        },
      }),
    },
  ],
});

export const documentMachine = setup({
  types: { context: {} as DocumentContext, events: {} as DocumentEvent, input: {} as Pick<DocumentContext, "applied"> },
  actions: { took: (_, _event: unknown) => {} },
}).createMachine({
  id: "document",
  version: "1",
  options: { maxIterations: 16 },
  context: ({ input }) => ({ ...input, document: undefined, previous: undefined, version: 0 }),
  initial: "absent",
  states: { absent: { on: { APPLY: apply("absent") } }, applied: { on: { APPLY: apply("applied") } } },
});
