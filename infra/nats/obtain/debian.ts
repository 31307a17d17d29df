/**
 * A newer suite of the Debian archive that this machine's apt uses already.
 *
 * apt itself fetches, and checks the archive's signature and every digest; it keeps its state in a folder of ours,
 * so that the system's lists, caches and packages stay as they are. The package is unpacked, not installed.
 */
import { mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { lastLine, runCommand } from "../command.ts";
import type { Outcome } from "../command.ts";
import { configuredArchives } from "./apt-archives.ts";
import type { Archive } from "./apt-archives.ts";
import { draftFolder, keep } from "./kept.ts";
import type { Found, Nothing } from "./source.ts";

/** Debian's stable releases had 2.9 and 2.10 when this was written. */
const SUITES = ["forky", "sid"];

const LIMIT = { timeoutMs: 180_000 };

export async function fromDebian(log: (line: string) => void): Promise<Found | Nothing> {
  const source = "Debian archive";
  for (const tool of ["apt-get", "dpkg-deb"]) {
    const there = await runCommand(tool, ["--version"], { timeoutMs: 10_000 });
    if (there.code !== 0) return { fault: `${source}: \`${tool}\` ${there.trouble ?? "does not run"}` };
  }
  const archives = configuredArchives();
  if (archives.length === 0) return { fault: `${source}: apt is configured for no Debian archive` };
  const faults: string[] = [];
  for (const archive of archives) {
    for (const suite of SUITES) {
      log(`fetching the package nats-server of Debian ${suite} from the archive that apt uses`);
      const result = await fromSuite(archive, suite);
      if ("path" in result) return result;
      faults.push(`${suite}: ${result.fault}`);
    }
  }
  return { fault: `${source}: ${faults.join(", ")}` };
}

async function fromSuite(archive: Archive, suite: string): Promise<Found | Nothing> {
  const draft = draftFolder();
  try {
    const settings = privateSettings(draft, archive, suite);
    const apt = (...args: string[]): Promise<Outcome> => runCommand("apt-get", ["-c", settings, ...args], { ...LIMIT, cwd: draft });
    const updated = await apt("update", "--error-on=any");
    if (updated.code !== 0) return { fault: lastLine(updated) };
    const fetched = await apt("download", "nats-server");
    const file = readdirSync(draft).find((name) => name.endsWith(".deb"));
    if (fetched.code !== 0 || file === undefined) return { fault: lastLine(fetched) };
    const unpacked = await runCommand("dpkg-deb", ["-x", join(draft, file), join(draft, "root")], LIMIT);
    if (unpacked.code !== 0) return { fault: lastLine(unpacked) };
    return await keep(join(draft, "root", "usr", "sbin", "nats-server"), `Debian ${suite}`);
  } finally {
    rmSync(draft, { recursive: true, force: true });
  }
}

/** apt reads this after the system's own settings: proxies stay, what would touch the system goes. */
function privateSettings(draft: string, archive: Archive, suite: string): string {
  for (const folder of ["lists/partial", "archives/partial"]) mkdirSync(join(draft, "apt", folder), { recursive: true });
  const list = join(draft, "apt", "archive.sources");
  writeFileSync(list, ["Types: deb", `URIs: ${archive.uri}`, `Suites: ${suite}`, "Components: main", ...archive.trust, ""].join("\n"));
  const settings = join(draft, "apt", "apt.conf");
  writeFileSync(
    settings,
    `#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
#clear Acquire::IndexTargets::deb::DEP-11;
#clear Acquire::IndexTargets::deb::DEP-11-icons;
#clear Acquire::IndexTargets::deb::DEP-11-icons-small;
#clear Acquire::IndexTargets::deb::DEP-11-icons-large;
Dir::Etc::SourceList "${list}";
Dir::Etc::SourceParts "-";
Dir::Etc::Preferences "-";
Dir::Etc::PreferencesParts "-";
Dir::State::Lists "${join(draft, "apt", "lists")}";
Dir::Cache "${join(draft, "apt")}";
APT::Sandbox::User "";
APT::Get::AllowUnauthenticated "false";
Acquire::AllowInsecureRepositories "false";
Acquire::Languages "none";
Acquire::Retries "1";
Acquire::http::Timeout "20";
Acquire::https::Timeout "20";
`,
  );
  return settings;
}
