/** Who can log in, where, and with which inbox. */
export const PLANE_ROLES = ["provision", "coordinator", "gateway", "ask", "reader", "reveal"] as const;
export const NAMESPACE_ROLES = ["agent", "subscriber", "tool", "approver", "operator", "auditor", "developer"] as const;
/** `system` manages accounts on a running server; it sees no message of the plane. */
export const ROLES = [...PLANE_ROLES, ...NAMESPACE_ROLES, "system"] as const;
export type Role = (typeof ROLES)[number];

/** Which of the plane's accounts a role logs in to. */
export type AccountKind = "plane" | "agents" | "people" | "tools" | "system";

const ACCOUNT_OF: Readonly<Record<Role, AccountKind>> = {
  provision: "plane",
  coordinator: "plane",
  gateway: "plane",
  ask: "plane",
  reader: "plane",
  reveal: "plane",
  agent: "agents",
  subscriber: "agents",
  tool: "tools",
  approver: "people",
  operator: "people",
  auditor: "people",
  developer: "people",
  system: "system",
};

export function accountOf(role: Role): AccountKind {
  return ACCOUNT_OF[role];
}

export function isPlaneRole(role: Role): boolean {
  return ACCOUNT_OF[role] === "plane";
}

/** Everyone has an inbox prefix of their own: who may read another's inbox reads the answers to another's requests. */
export function inboxPrefixOf(role: Role, name: string): string {
  return `_INBOX_${role}_${name}`;
}
