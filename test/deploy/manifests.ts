/** What `infra/compose.yaml` and `infra/kubernetes` say, in one shape: containers with what they are given. */
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { parseAllDocuments, parse } from "yaml";

export const INFRA = join(import.meta.dirname, "../../infra");
const KUBERNETES = join(INFRA, "kubernetes");

export interface Probe {
  readonly path: string;
  readonly port: number;
}

export interface Mount {
  readonly at: string;
  /** Files by their path below `at`, each with the file of the handout that it is; undefined where it is none of those. */
  readonly files: ReadonlyMap<string, string> | undefined;
  readonly writable: boolean;
}

export interface Container {
  readonly from: "compose" | "kubernetes";
  readonly name: string;
  readonly image: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly ports: readonly number[];
  readonly probes: readonly Probe[];
  readonly mounts: readonly Mount[];
  /** Runs to its end before others start. */
  readonly first: boolean;
}

interface KubeContainer {
  name: string;
  image: string;
  args?: string[];
  env?: { name: string; value?: string; valueFrom?: unknown }[];
  envFrom?: { configMapRef: { name: string } }[];
  ports?: { name: string; containerPort: number }[];
  volumeMounts?: { name: string; mountPath: string; readOnly?: boolean }[];
  securityContext?: Record<string, unknown>;
  resources?: { requests?: Record<string, string>; limits?: Record<string, string> };
  lifecycle?: { preStop?: { exec: { command: string[] } } };
  [probe: string]: unknown;
}

export interface KubeObject {
  apiVersion: string;
  kind: string;
  metadata: { name: string };
  spec: {
    replicas?: number;
    selector?: { matchLabels?: Record<string, string> };
    template?: {
      metadata: { labels: Record<string, string> };
      spec: { containers: KubeContainer[]; initContainers?: KubeContainer[]; volumes?: KubeVolume[]; securityContext?: Record<string, unknown>; [more: string]: unknown };
    };
    volumeClaimTemplates?: { metadata: { name: string } }[];
    [more: string]: unknown;
  };
}

interface KubeVolume {
  name: string;
  secret?: { secretName: string; items: { key: string; path: string }[] };
  configMap?: { name: string };
  emptyDir?: unknown;
}

export async function kubeFiles(): Promise<string[]> {
  return (await readdir(KUBERNETES)).filter((file) => file !== "kustomization.yaml").toSorted();
}

export interface Kustomization {
  resources: string[];
  configMapGenerator: { name: string; literals?: string[]; files?: string[]; behavior?: string }[];
  secretGenerator?: { name: string; files: string[] }[];
}

export async function kustomization(folder = KUBERNETES): Promise<Kustomization> {
  return parse(await readFile(join(folder, "kustomization.yaml"), "utf8")) as Kustomization;
}

/** Every object of the manifests. @throws when a file is no YAML, or says a key twice */
export async function kubeObjects(): Promise<KubeObject[]> {
  const objects: KubeObject[] = [];
  for (const file of await kubeFiles()) {
    for (const document of parseAllDocuments(await readFile(join(KUBERNETES, file), "utf8"), { strict: true, uniqueKeys: true })) {
      if (document.errors.length > 0) throw new Error(`${file}: ${document.errors[0]?.message}`);
      objects.push({ spec: {}, ...(document.toJS() as Partial<KubeObject>) } as KubeObject);
    }
  }
  return objects;
}

/** @param handout where the handout's own kustomization lies */
export async function kubeContainers(handout: string): Promise<Container[]> {
  const settings = Object.fromEntries(((await kustomization()).configMapGenerator[0]?.literals ?? []).map((literal) => [literal.slice(0, literal.indexOf("=")), literal.slice(literal.indexOf("=") + 1)]));
  const { secretGenerator = [], configMapGenerator } = await kustomization(handout);
  // a generator names a file by its last part
  const filesOf = (files: readonly string[]) => new Map(files.map((file) => [file.slice(file.lastIndexOf("/") + 1), file]));
  const secrets = new Map(secretGenerator.map(({ name, files }) => [name, filesOf(files)]));
  const configs = new Map(configMapGenerator.map(({ name, files }) => [name, filesOf(files ?? [])]));
  return (await kubeObjects()).flatMap(({ metadata, spec }) => {
    const pod = spec.template?.spec;
    if (pod === undefined) return [];
    const claims = spec.volumeClaimTemplates?.map((claim) => claim.metadata.name) ?? [];
    const mounted = (mount: { name: string; mountPath: string; readOnly?: boolean }): Mount => {
      const volume = pod.volumes?.find(({ name }) => name === mount.name);
      if (volume === undefined && !claims.includes(mount.name)) throw new Error(`${metadata.name}: there is no volume \`${mount.name}\``);
      const made = volume?.secret !== undefined ? secrets.get(volume.secret.secretName) : volume?.configMap !== undefined ? configs.get(volume.configMap.name) : undefined;
      if (made === undefined && (volume?.secret ?? volume?.configMap) !== undefined) throw new Error(`${metadata.name}: nobody makes what \`${mount.name}\` is`);
      const items = volume?.secret?.items ?? [...(made?.keys() ?? [])].map((key) => ({ key, path: key }));
      const files = made && new Map(items.map(({ key, path }) => [path, made.get(key) ?? fail(`${metadata.name}: there is no \`${key}\``)]));
      return { at: mount.mountPath, files, writable: mount.readOnly !== true };
    };
    const container = (first: boolean) => (one: KubeContainer): Container => ({
      from: "kubernetes",
      name: metadata.name,
      image: one.image,
      args: one.args ?? [],
      env: { ...(one.envFrom === undefined ? {} : settings), ...Object.fromEntries((one.env ?? []).map(({ name, value }) => [name, value ?? ""])) },
      ports: (one.ports ?? []).map(({ containerPort }) => containerPort),
      probes: ["startupProbe", "readinessProbe", "livenessProbe"].flatMap((kind) => {
        const probe = one[kind] as { httpGet: { path: string; port: string } } | undefined;
        const port = one.ports?.find(({ name }) => name === probe?.httpGet.port)?.containerPort;
        return probe === undefined ? [] : [{ path: probe.httpGet.path, port: port ?? fail(`${metadata.name}: no port \`${probe.httpGet.port}\``) }];
      }),
      mounts: (one.volumeMounts ?? []).map(mounted),
      first,
    });
    return [...(pod.initContainers ?? []).map(container(true)), ...pod.containers.map(container(false))];
  });
}

interface ComposeService {
  image: string;
  command: string[];
  environment?: Record<string, string>;
  volumes?: string[];
  tmpfs?: string[];
  ports?: string[];
  healthcheck?: { test?: string[]; disable?: boolean };
  depends_on?: Record<string, { condition: string }>;
  networks: unknown;
}

export async function compose(): Promise<{ services: Record<string, ComposeService>; volumes: Record<string, unknown>; networks: Record<string, unknown> }> {
  return parse(await readFile(join(INFRA, "compose.yaml"), "utf8"), { merge: true, strict: true }) as Awaited<ReturnType<typeof compose>>;
}

/** @param given the files of the handout */
export async function composeContainers(given: readonly string[]): Promise<Container[]> {
  const { services, volumes } = await compose();
  return Object.entries(services).map(([name, service]) => {
    const env = Object.fromEntries(Object.entries(service.environment ?? {}).map(([key, value]) => [key, value.replace(/\$\{\w+:-(.*)\}/, "$1")]));
    const mounts = (service.volumes ?? []).map((volume): Mount => {
      const [source = "", at = "", mode] = volume.split(":");
      if (!source.startsWith("./handout/")) {
        if (!(source in volumes)) throw new Error(`${name}: there is no volume \`${source}\``);
        return { at, files: undefined, writable: mode !== "ro" };
      }
      const wanted = source.slice("./handout/".length);
      const below = given.filter((file) => file === wanted || file.startsWith(`${wanted}/`));
      if (below.length === 0) throw new Error(`${name}: the handout has no \`${wanted}\``);
      return { at, files: new Map(below.map((file) => [file.slice(wanted.length + 1), file])), writable: mode !== "ro" };
    });
    const probe = /https?:\/\/127\.0\.0\.1:(\d+)(\/[a-z]+)/.exec(service.healthcheck?.test?.join(" ") ?? "");
    return {
      from: "compose",
      name,
      image: service.image,
      args: service.command,
      env,
      ports: (service.ports ?? []).map((port) => Number(port.split(":").at(-1))),
      probes: probe === null ? [] : [{ path: probe[2] ?? "", port: Number(probe[1]) }],
      mounts: [...mounts, ...(service.tmpfs ?? []).map((at) => ({ at: at.split(":")[0] ?? "", files: undefined, writable: true }))],
      first: service.healthcheck?.disable === true,
    };
  });
}

function fail(why: string): never {
  throw new Error(why);
}
