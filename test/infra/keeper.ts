/** A process that starts a server and keeps it: what dies in the tests of killed planes. Prints one line of JSON. */
import { startEmbeddedServer } from "../../infra/nats/embedded.ts";
import { testOperator } from "./operator.ts";

const [dataDir = "", binary = ""] = process.argv.slice(2);
const { operatorJwt, systemAccount, accounts } = await testOperator();
const server = await startEmbeddedServer({ binary, dataDir, operatorJwt, systemAccount, accounts });
console.log(JSON.stringify({ pid: server.pid, url: server.url }));
process.stdin.resume(); // to live until killed
