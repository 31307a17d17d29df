/**
 * The wire as an AsyncAPI 3.0 document (OPS-3), made from the same schemas and subject builders that the plane runs
 * on. `schemas/asyncapi.json` is this, written out; a test fails when the two differ.
 */
import { PROPOSALS, messages } from "./messages.ts";
import { channels, parameters } from "./channels.ts";
import { models } from "./models.ts";
import { messagesOf, operations, ROLES, type Role } from "./operations.ts";

/** Version of the wire, not of the program: a change that breaks a client raises the first number. */
export const WIRE_VERSION = "1.1.0";

const ref = (path: string) => ({ $ref: `#/${path}` });
const NATS = { nats: { bindingVersion: "0.1.0" } };

export interface AsyncApiDocument {
  readonly asyncapi: "3.0.0";
  readonly [key: string]: unknown;
}

export function asyncApi(): AsyncApiDocument {
  return {
    asyncapi: "3.0.0",
    info: {
      title: "Signalbox",
      version: WIRE_VERSION,
      description: DESCRIPTION,
      license: { name: "Apache-2.0", url: "https://www.apache.org/licenses/LICENSE-2.0" },
    },
    defaultContentType: "application/json",
    servers: {
      plane: {
        host: "127.0.0.1:4222",
        protocol: "nats",
        description: "nats-server 2.12 or newer with JetStream, in operator mode. `npm start` embeds one; its address is in the contexts that it writes.",
        security: ROLES.map((role) => ref(`components/securitySchemes/${role}`)),
        bindings: NATS,
      },
    },
    channels: Object.fromEntries(Object.entries(channels).map(([name]) => [name, channelOf(name)])),
    operations: Object.fromEntries(Object.entries(operations).map(([id]) => [id, operationOf(id)])),
    components: {
      messages,
      parameters,
      schemas: models(),
      securitySchemes: Object.fromEntries(ROLES.map((role) => [role, schemeOf(role)])),
    },
  };
}

/** The file's text. */
export function asyncApiText(): string {
  return `${JSON.stringify(asyncApi(), undefined, 2)}\n`;
}

function channelOf(name: string) {
  const channel = channels[name];
  if (channel === undefined) throw new Error(`there is no channel \`${name}\``);
  const { address, title, description, stream } = channel;
  const names = [...(address ?? "").matchAll(/\{([a-z]+)\}/g)].map((match) => match[1] ?? "");
  return {
    address,
    title,
    description,
    servers: [ref("servers/plane")],
    messages: Object.fromEntries(channel.messages.map((message) => [message, ref(`components/messages/${message}`)])),
    ...(names.length > 0 && { parameters: Object.fromEntries(names.map((parameter) => [parameter, ref(`components/parameters/${parameter}`)])) }),
    ...(stream !== undefined && { "x-signalbox-stream": `${stream}_{namespace}` }),
    bindings: NATS,
  };
}

function operationOf(id: string) {
  const operation = operations[id];
  if (operation === undefined) throw new Error(`there is no operation \`${id}\``);
  const { role, action, channel, summary, reply, consumes, queue } = operation;
  const listed = messagesOf(operation);
  // without a list it is all of the channel's
  const all = listed.length === channels[channel]?.messages.length;
  const inbox = (message: string) => ref(`channels/inbox/messages/${message}`);
  return {
    action,
    channel: ref(`channels/${channel}`),
    summary,
    tags: [{ name: role }],
    security: [ref(`components/securitySchemes/${role}`)],
    ...(!all && { messages: listed.map((message) => ref(`channels/${channel}/messages/${message}`)) }),
    ...(reply !== undefined && {
      reply: {
        address: { location: "$message.header#/reply", description: "The reply subject of the NATS message." },
        channel: ref("channels/inbox"),
        messages: reply.map(inbox),
      },
    }),
    ...(consumes && { "x-signalbox-consumer": true }),
    bindings: { nats: { ...(queue !== undefined && { queue }), bindingVersion: "0.1.0" } },
  };
}

const TEXTS: Readonly<Record<Role, string>> = {
  agent: "Proposes for itself and hears its own answers. Decides nothing.",
  tool: "Serves one tool and asks for nothing.",
  approver: "Decides, and reads what is asked. Proposes nothing.",
  operator: "Applies documents, controls runs, reads everything of its namespace.",
  auditor: "Reads everything of its namespace and changes nothing.",
  developer: "Hears the events of one team's runs.",
  subscriber: "Hears the events of its namespace by type.",
  coordinator: "Of the plane: turns inputs into events.",
  gateway: "Of the plane: executes what was approved.",
  ask: "Of the plane: answers asks.",
  reveal: "Opens what is personal in requests, for approvers.",
  reader: "Of the plane: projection, fan-out, queries.",
};

function schemeOf(role: Role) {
  return {
    type: "X509",
    description: `A NATS \`.creds\` file of the role ${role}: a user's token signed offline, and the Ed25519 seed that answers the server's challenge (AsyncAPI has no name for it; a key pair with a signed certificate is the nearest). ${TEXTS[role]}`,
  };
}

const DESCRIPTION = `A control plane for AI agents: the agent proposes, the plane decides.

This document describes the whole wire. \`send\` and \`receive\` are meant from the point of view of the role that an operation is tagged with. A plain NATS client is enough for each of them.

**Inputs** (${PROPOSALS.length} kinds of proposal, decisions, reports, controls, documents, signals) are JSON or MessagePack. Each is identified by kind, actor and its own \`id\`, for the whole life of the run: repeated with the same content it counts once and asks how things stand; with other content it is refused.

**Events** are CloudEvents 1.0 in binary mode: attributes in headers named \`ce-…\`, the body MessagePack. The first event of a commit holds the input that caused it and the facts it was judged with; each event is chained to the one before.

**Answers** to agents are JSON.

Names may be added in a later version: ignore fields and event types that you do not know.`;
