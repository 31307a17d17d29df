/** The least that a server in operator mode needs: an operator, a system account, one account with JetStream, one user. */
import { createAccount, createOperator, createUser, encodeAccount, encodeOperator, encodeUser, fmtCreds } from "@nats-io/jwt";
import type { Account } from "../../infra/nats/config.ts";

export interface TestOperator {
  readonly operatorJwt: string;
  readonly systemAccount: string;
  readonly accounts: readonly Account[];
  /** Of a user who may do everything in the account with JetStream. */
  readonly creds: Uint8Array;
}

export async function testOperator(): Promise<TestOperator> {
  const [operator, system, plane, user] = [createOperator(), createAccount(), createAccount(), createUser()];
  // A limit that is left out is none at all for a server, which then refuses the first connection.
  const unlimited = { conn: -1, leaf: -1, subs: -1, data: -1, payload: -1, imports: -1, exports: -1, wildcards: true };
  const jwtOf = (name: string, keys: typeof system, storage: number): Promise<string> => {
    const limits = { ...unlimited, mem_storage: storage, disk_storage: storage, streams: storage, consumer: storage };
    return encodeAccount(name, keys, { limits }, { signer: operator });
  };
  const accounts: Account[] = [
    { name: "SYS", publicKey: system.getPublicKey(), jwt: await jwtOf("SYS", system, 0) },
    { name: "PLANE", publicKey: plane.getPublicKey(), jwt: await jwtOf("PLANE", plane, -1) },
  ];
  return {
    operatorJwt: await encodeOperator("test", operator, { system_account: system.getPublicKey() }),
    systemAccount: system.getPublicKey(),
    accounts,
    creds: fmtCreds(await encodeUser("user", user, plane, {}), user),
  };
}
