/** A process that serves Restate: a durable handler of eight steps, and a machine of XState. */
import { peer } from "./install.ts";

interface Sdk {
  service(definition: unknown): unknown;
  serve(options: { services: unknown[]; port: number }): Promise<unknown>;
}
interface Context {
  run(name: string, step: () => number): Promise<number>;
}

const port = Number(process.argv[2]);
const { service, serve } = await peer<Sdk>("@restatedev/restate-sdk");
const { xstate } = await peer<{ xstate(name: string, machine: unknown): unknown }>("@restatedev/xstate");
const { createMachine, assign } = await peer<typeof import("xstate")>("xstate");

const steps = service({
  name: "steps",
  handlers: {
    eight: async (context: Context) => {
      let sum = 0;
      for (let i = 0; i < 8; i++) sum += await context.run(`step ${i}`, () => i);
      return sum;
    },
  },
});
const machine = createMachine({
  id: "light",
  initial: "red",
  context: { changes: 0 },
  states: {
    red: { on: { next: { target: "green", actions: assign({ changes: ({ context }) => context.changes + 1 }) } } },
    green: { on: { next: { target: "red", actions: assign({ changes: ({ context }) => context.changes + 1 }) } } },
  },
});
await serve({ services: [steps, xstate("light", machine)], port });
console.log("serving");
