/**
 * The manifests say what the program takes, and what they say runs: on this machine's processes, because there is no
 * container or cluster here. What only Docker or Kubernetes could find out is not tested.
 */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { copyFile, mkdir, mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, describe, it } from "node:test";
import { promisify } from "node:util";
import { HANDED, KEYS_OF, credsOf, handOut } from "../../infra/handout.ts";
import { USAGE } from "../../infra/settings.ts";
import { namespace } from "../../schemas/ids.ts";
import { SERVICES } from "../../services/main.ts";
import { type Container, compose, composeContainers, INFRA, kubeContainers, kubeFiles, kubeObjects, kustomization } from "./manifests.ts";
import { endAll, ready, start } from "./process.ts";
import { type DeployedServers, startServers, untilHealth } from "./servers.ts";

const run = promisify(execFile);
const ROOT = join(INFRA, "..");
const NAMES = /--[a-z-]+|\b(?:NATS|SIGNALBOX)_[A-Z_]+\b/g;
const KNOWN = new Set([...(USAGE.match(NAMES) ?? []), "SIGNALBOX_NAMESPACES"]);

describe("OPS-2 the manifests", () => {
  let folder: string;
  let handout: string;
  let containers: Container[];
  let given: string[];
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "signalbox-deploy-"));
    handout = join(folder, "data", "handout");
    given = await handOut({ dataDir: join(folder, "data"), folder: handout, namespaces: [namespace("default")], ttlDays: 1 });
    containers = [...(await kubeContainers(handout)), ...(await composeContainers(given))];
  });
  after(async () => {
    await endAll();
    await rm(folder, { recursive: true, force: true });
  });
  const plane = () => containers.filter(({ image }) => image === "signalbox");
  const nats = () => containers.filter(({ image }) => image !== "signalbox");

  it("OPS-2 name only options and variables that there are, images without a registry, and every role", async () => {
    for (const { name, args, env, image } of plane()) {
      for (const word of [...args.filter((arg) => arg.startsWith("--")), ...Object.keys(env)]) assert.ok(KNOWN.has(word), `${name}: \`${word}\` is no setting`);
      assert.equal(image, "signalbox");
    }
    for (const { image } of nats()) assert.match(image, /^nats:2\.\d+-alpine$/);
    for (const from of ["compose", "kubernetes"] as const) {
      const roles = plane().filter((one) => one.from === from && !one.first).map(({ args }) => args[args.indexOf("--roles") + 1] ?? "");
      assert.deepEqual([...new Set(roles)].toSorted(), [...SERVICES].toSorted());
      assert.ok(plane().some((one) => one.from === from && one.first && one.args.includes("--provision")));
      assert.equal(nats().filter((one) => one.from === from).length, from === "compose" ? 3 : 1);
    }
  });

  it("ID-2 hand each role its own credential and the keys that it needs, and nobody the plane's", async () => {
    for (const { name, args, mounts, from } of plane()) {
      const role = args.includes("--provision") ? "provision" : args[args.indexOf("--roles") + 1];
      const handed = mounts.find(({ at }) => at === "/etc/signalbox/credentials");
      const keys = KEYS_OF[role as (typeof HANDED)[number]].map((key) => [`keys/${key}`, `${role}/keys/${key}`]);
      assert.deepEqual(Object.fromEntries(handed?.files ?? []), Object.fromEntries([...credsOf(role as (typeof HANDED)[number]).map((one) => [`${one}.creds`, `${role}/${one}.creds`]), ...keys]), `${from}: ${name}`);
      assert.equal(handed?.writable, false);
    }
    for (const file of given) assert.doesNotMatch(await readFile(join(handout, file), "utf8"), /\bS[OA][A-Z2-7]{56}/, `${file} holds a seed of an operator or account`);
  });

  it("OPS-2 agree about ports, probes and what is mounted where", async () => {
    for (const { name, from, ports, probes, env, mounts, image, first } of containers) {
      const served = image === "signalbox" ? ["/livez", "/readyz"] : ["/healthz"];
      if (first) continue;
      assert.ok(probes.length >= (from === "kubernetes" ? 2 : 1), `${name} has no probes`);
      for (const { path, port } of probes) {
        assert.ok(served.includes(path.split("?")[0] ?? ""), `${name}: ${path}`);
        if (from === "kubernetes") assert.ok(ports.includes(port), `${name}: ${port}`);
        if (image === "signalbox") assert.equal(String(port), env["SIGNALBOX_HEALTH_PORT"]?.split(":").at(-1));
      }
      if (image !== "signalbox") continue;
      assert.ok(mounts.some(({ at, writable }) => writable && at === env["SIGNALBOX_DATA"]), `${name} cannot write its data folder`);
      assert.ok(mounts.some(({ at }) => at === env["SIGNALBOX_CREDS"]), name);
      // a probe comes from another machine than the process is on, and in compose from the container itself
      assert.equal(env["SIGNALBOX_HEALTH_PORT"]?.startsWith("0.0.0.0:") ?? false, from === "kubernetes");
    }
  });

  it("OPS-2 run every container closed: no root, no rights, nothing to write to but its data; and each has bounds", async () => {
    for (const { kind, metadata, spec } of await kubeObjects()) {
      const pod = spec.template?.spec;
      if (pod === undefined) continue;
      assert.equal(pod.securityContext?.["runAsNonRoot"], true, metadata.name);
      assert.deepEqual([pod["automountServiceAccountToken"], pod["enableServiceLinks"]], [false, false], metadata.name);
      for (const { securityContext, resources, name } of [...pod.containers, ...(pod.initContainers ?? [])]) {
        assert.deepEqual(securityContext, { allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: { drop: ["ALL"] } }, `${metadata.name}/${name}`);
        assert.ok(resources?.requests?.["cpu"] && resources.requests["memory"] && resources.limits?.["memory"], `${metadata.name}/${name}`);
      }
      const { matchLabels } = spec.selector ?? {};
      for (const [label, value] of Object.entries(matchLabels ?? {})) assert.equal(spec.template?.metadata.labels[label], value, `${kind} ${metadata.name}`);
    }
  });

  it("OPS-2 replace processes one at a time, and servers only when the others have caught up", async () => {
    const objects = await kubeObjects();
    const budgets = objects.filter(({ kind }) => kind === "PodDisruptionBudget");
    for (const { metadata, spec, kind } of objects.filter((one) => one.spec.template !== undefined)) {
      if ((spec.replicas ?? 1) > 1) {
        const labels = spec.template?.metadata.labels ?? {};
        const budget = budgets.find((one) => Object.entries(one.spec.selector?.matchLabels ?? {}).every(([label, value]) => labels[label] === value));
        assert.ok(budget !== undefined, `${metadata.name} may be taken away all at once`);
      }
      if (kind === "Deployment") assert.deepEqual(spec["strategy"], { rollingUpdate: { maxUnavailable: 0, maxSurge: 1 } });
      const grace = spec.template?.spec["terminationGracePeriodSeconds"] as number;
      assert.ok(grace >= 30, metadata.name);
    }
    const servers = objects.find(({ kind, metadata }) => kind === "StatefulSet" && metadata.name === "nats");
    const ready = servers?.spec.template?.spec.containers[0]?.["readinessProbe"] as { httpGet: { path: string } };
    assert.equal(ready.httpGet.path, "/healthz");
    assert.deepEqual([servers?.spec.replicas, servers?.spec["podManagementPolicy"], servers?.spec.volumeClaimTemplates?.length], [3, "Parallel", 1]);
    assert.match(JSON.stringify(servers?.spec.template?.spec["affinity"]), /requiredDuringScheduling.*kubernetes\.io\/hostname/);
  });

  it("OPS-2 leave no file out, and kustomize takes them where it is at hand", async (t) => {
    assert.deepEqual((await kustomization()).resources.toSorted(), await kubeFiles());
    const { services, networks } = await compose();
    for (const [name, { depends_on: needs = {} }] of Object.entries(services)) for (const need of Object.keys(needs)) assert.ok(need in services, `${name} waits for \`${need}\``);
    assert.deepEqual(Object.keys(networks), ["plane"]);
    const made = await run("kubectl", ["kustomize", handout], { maxBuffer: 1 << 24 }).catch((error: NodeJS.ErrnoException) => error);
    if (made instanceof Error && made.code === "ENOENT") return t.skip("there is no kubectl here");
    assert.ok(!(made instanceof Error), String(made));
    for (const role of HANDED) assert.match(made.stdout, new RegExp(`secretName: signalbox-${role}-[a-z0-9]{10}\\n`));
  });

  it("OPS-1 the image is made of what the program needs, and of no more", async () => {
    const dockerfile = await readFile(join(INFRA, "Dockerfile"), "utf8");
    const copied = [...dockerfile.matchAll(/^COPY (?!--from)(.+) \S+$/gm)].flatMap(([, sources = ""]) => sources.split(" "));
    const ignored = (await readFile(join(INFRA, "Dockerfile.dockerignore"), "utf8")).split("\n");
    for (const source of copied) {
      assert.ok(existsSync(join(ROOT, source)), source);
      assert.ok(ignored.includes(`!${source}`), `\`${source}\` is ignored`);
    }
    assert.match(dockerfile, /^FROM node:24-slim/m);
    assert.match(dockerfile, /^USER (?!0|root)/m);
    const { dependencies } = JSON.parse(await readFile(join(ROOT, "package.json"), "utf8")) as { dependencies: Record<string, string> };
    const packages = await packagesBelow(join(INFRA, "start.ts"));
    assert.ok(packages.size > 5);
    for (const name of packages) assert.ok(name in dependencies, `\`${name}\` is not installed in the image`);
  });

  describe("OPS-2 run", () => {
    let servers: DeployedServers;
    before(async () => {
      await mkdir(join(folder, "servers"));
      servers = await startServers(handout, join(folder, "servers"), nats().find(({ from }) => from === "kubernetes")?.args ?? []);
    });
    after(() => servers?.stop());

    it("OPS-2 the configuration of the servers is one that nats-server takes, and three of them become a cluster", async () => {
      await run(process.env["SIGNALBOX_NATS_SERVER"] ?? "nats-server", ["-c", join(handout, "nats.conf"), "-t"]);
      for (const path of ["/healthz", "/healthz?js-enabled-only=true", "/healthz?js-server-only=true"]) for (const i of [0, 1, 2]) await untilHealth(servers, i, path, 200);
      const names = await Promise.all(servers.servers.map(async ({ monitor }) => ((await (await fetch(`http://127.0.0.1:${monitor}/varz`)).json()) as { server_name: string }).server_name));
      assert.deepEqual(names, ["nats-0", "nats-1", "nats-2"]);
    });

    it("OPS-2 EXEC-8 every command line of the manifests starts, and its probes say that it is ready", async () => {
      const entry = JSON.parse(/^ENTRYPOINT (\[.*\])$/m.exec(await readFile(join(INFRA, "Dockerfile"), "utf8"))?.[1] ?? "[]") as string[];
      assert.deepEqual(entry.slice(0, 2), ["node", "infra/start.ts"]);
      let count = 0;
      /** The container as a process: its files where it finds them, its addresses as they are here. */
      const process = async ({ name, args, env, mounts }: Container) => {
        const place = join(folder, `container-${(count += 1)}`);
        const files = mounts.find(({ at }) => at === env["SIGNALBOX_CREDS"])?.files ?? new Map();
        for (const [path, file] of files) {
          await mkdir(dirname(join(place, "credentials", path)), { recursive: true });
          await copyFile(join(handout, file), join(place, "credentials", path));
        }
        const addresses = servers.here(env["NATS_URL"] ?? "");
        assert.doesNotMatch(addresses, /nats-\d/, `${name} is given addresses of no server`);
        return start([...entry.slice(2), ...args], { ...env, NATS_URL: addresses, SIGNALBOX_CREDS: join(place, "credentials"), SIGNALBOX_DATA: join(place, "data"), SIGNALBOX_HEALTH_PORT: "127.0.0.1:0" });
      };
      for (const one of plane().filter(({ first }) => first)) {
        const started = await process(one);
        await started.until("3 servers hold each");
        assert.equal(await started.exit, 0);
      }
      // the second of a pair is the first once more
      const roles = plane().filter(({ first, name }) => !first && !name.endsWith("-1"));
      const started = await Promise.all(roles.map(async (one) => ({ one, process: await process(one) })));
      for (const { one, process } of started) {
        const seen = await process.seen(ready, `${one.from}: ${one.name}`);
        assert.ok(one.args.includes(seen.roles[0]?.role ?? ""));
        for (const { path } of one.probes) assert.equal((await process.look(path as "/readyz")).status, 200);
      }

      // of three servers two are away: what is left takes nothing, and nobody who has to commit is ready
      for (const i of [1, 2]) servers.servers[i]?.child.kill("SIGKILL");
      const away = started.filter(({ one }) => /coordinator|reader/.test(one.name));
      for (const { one, process } of away) assert.equal((await process.seen((seen) => seen.status === 503, `${one.name} cannot work`)).ready, false);
      for (const i of [1, 2]) await servers.start(i);
      for (const { one, process } of started) await process.seen(ready, `${one.name} works again`);
      for (const { process } of started) process.child.kill("SIGTERM");
      for (const { one, process } of started) assert.equal(await process.exit, 0, one.name);
    });
  });
});

/** Packages that a file imports, and whatever it imports. */
async function packagesBelow(entry: string): Promise<Set<string>> {
  const packages = new Set<string>();
  const seen = new Set<string>();
  const visit = async (file: string): Promise<void> => {
    if (seen.has(file)) return;
    seen.add(file);
    const text = await readFile(file, "utf8");
    for (const [, clause = "", from = ""] of text.matchAll(/(?:^|\n)(?:import|export)\s((?:[^;'"]*?\sfrom\s)?)["']([^"']+)["']|\bimport\(["']([^"']+)["']\)/g)) {
      if (clause.startsWith("type ")) continue;
      if (from.startsWith(".")) await visit(join(dirname(file), from));
      else if (from !== "" && !from.startsWith("node:")) packages.add(from.split("/").slice(0, from.startsWith("@") ? 2 : 1).join("/"));
    }
  };
  await visit(entry);
  return packages;
}
