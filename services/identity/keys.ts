/**
 * The plane's signing keys, in `<data>/keys`: whoever reads this folder is the plane, so it is closed to
 * everybody else. Keys are made once and never overwritten; a second process that makes the same key at the
 * same moment gets the first one's.
 */
import { createPrivateKey, randomBytes, sign } from "node:crypto";
import { chmod, link, mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createAccount, createOperator, fromSeed, type KeyPair } from "@nats-io/jwt";
import { namespace, type Namespace, namespaceSchema } from "../../schemas/ids.ts";

/** The accounts of one namespace: why there are three, and the doors, stands in `accounts.ts`. */
export interface NamespaceKeys {
  readonly agents: KeyPair;
  readonly people: KeyPair;
  readonly tools: KeyPair;
}

export interface PlaneKeys {
  /** The folder that they are of: what they sign is written down there, too. */
  readonly dataDir: string;
  readonly operator: KeyPair;
  readonly system: KeyPair;
  readonly plane: KeyPair;
  readonly agentsDoor: KeyPair;
  readonly peopleDoor: KeyPair;
  readonly namespaces: ReadonlyMap<Namespace, NamespaceKeys>;
}

/**
 * Loads the keys of the plane and of these namespaces, creating what is missing.
 * @throws when the folder cannot be written or a key file is damaged
 */
export async function openKeys(dataDir: string, namespaces: readonly Namespace[]): Promise<PlaneKeys> {
  const open = (name: string, create: () => KeyPair) => openKey(dataDir, name, create);
  const perNamespace = new Map<Namespace, NamespaceKeys>();
  for (const ns of namespaces) {
    perNamespace.set(ns, {
      agents: await open(`ns_${ns}`, createAccount),
      people: await open(`people_${ns}`, createAccount),
      tools: await open(`tools_${ns}`, createAccount),
    });
  }
  return {
    dataDir,
    operator: await open("operator", createOperator),
    system: await open("sys", createAccount),
    plane: await open("plane", createAccount),
    agentsDoor: await open("agents_door", createAccount),
    peopleDoor: await open("people_door", createAccount),
    namespaces: perNamespace,
  };
}

/** Namespaces that have keys in a data folder, sorted. */
export async function knownNamespaces(dataDir: string): Promise<Namespace[]> {
  const files = await readdir(join(dataDir, "keys")).catch(() => []);
  const names = files.filter((file) => file.startsWith("ns_") && file.endsWith(".nk")).map((file) => file.slice(3, -3));
  return names.filter((name) => namespaceSchema.safeParse(name).success).toSorted().map(namespace);
}

async function openKey(dataDir: string, name: string, create: () => KeyPair): Promise<KeyPair> {
  const { path, contents } = await madeOnce(dataDir, `${name}.nk`, () => new TextDecoder().decode(create().getSeed()));
  try {
    return fastSigner(fromSeed(new TextEncoder().encode(contents.trim())));
  } catch (cause) {
    throw new Error(`the key file \`${path}\` is damaged`, { cause });
  }
}

/**
 * A file of `<data>/keys` with its contents, made when it is missing: of two processes that make it at the same moment,
 * both get the first one's.
 */
export async function madeOnce(dataDir: string, file: string, make: () => string): Promise<{ readonly path: string; readonly contents: string }> {
  const folder = join(dataDir, "keys");
  const path = join(folder, file);
  const existing = await read(path);
  if (existing === undefined) await mkdir(folder, { recursive: true, mode: 0o700 });
  await chmod(folder, 0o700).catch((error: unknown) => {
    // keys that were handed out lie where nothing can be changed, and whoever put them there has closed it
    if (existing === undefined) throw error;
  });
  if (existing !== undefined) return { path, contents: existing };
  const draft = `${path}.${randomBytes(6).toString("hex")}`;
  const made = make();
  await writeFile(draft, made, { mode: 0o600, flag: "wx", flush: true });
  try {
    // A link appears whole or not at all, and fails when another process was first.
    await link(draft, path);
    return { path, contents: made };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    const winner = await read(path);
    if (winner === undefined) throw error;
    return { path, contents: winner };
  } finally {
    await rm(draft, { force: true });
  }
}

async function read(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

/** PKCS #8 of an Ed25519 key, up to its 32 bytes. */
const PKCS8 = Buffer.from("302e020100300506032b657004220420", "hex");

/**
 * The same key, signing with the platform's Ed25519. The library's own takes some 20 ms a signature, and a
 * namespace needs about fifty.
 */
function fastSigner(key: KeyPair): KeyPair {
  const publicKey = key.getPublicKey();
  const native = createPrivateKey({ key: Buffer.concat([PKCS8, rawSeed(key)]), format: "der", type: "pkcs8" });
  return {
    getPublicKey: () => publicKey,
    getPrivateKey: () => key.getPrivateKey(),
    getSeed: () => key.getSeed(),
    sign: (input) => new Uint8Array(sign(null, input, native)),
    verify: (input, signature) => key.verify(input, signature),
    clear: () => key.clear(),
    seal: (input, recipient, nonce) => key.seal(input, recipient, nonce),
    open: (message, sender) => key.open(message, sender),
  };
}

/** The 32 bytes inside an encoded seed: base 32 of two prefix bytes, the seed, and a checksum. */
function rawSeed(key: KeyPair): Uint8Array {
  let bits = "";
  for (const letter of new TextDecoder().decode(key.getSeed())) {
    bits += "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".indexOf(letter).toString(2).padStart(5, "0");
  }
  return Uint8Array.from({ length: 32 }, (_, i) => Number.parseInt(bits.slice((i + 2) * 8, (i + 3) * 8), 2));
}
