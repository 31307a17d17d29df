/**
 * The plane's signing keys, in `<data>/keys`: whoever reads this folder is the plane, so it is closed to
 * everybody else. Keys are made once and never overwritten; a second process that makes the same key at the
 * same moment gets the first one's.
 */
import { createPrivateKey, randomBytes, sign } from "node:crypto";
import { chmod, link, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createAccount, createOperator, fromSeed, type KeyPair } from "@nats-io/jwt";
import type { Namespace } from "../../schemas/ids.ts";

/** The accounts of one namespace: why there are three, and the doors, stands in `accounts.ts`. */
export interface NamespaceKeys {
  readonly agents: KeyPair;
  readonly people: KeyPair;
  readonly tools: KeyPair;
}

export interface PlaneKeys {
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
  const folder = join(dataDir, "keys");
  await mkdir(folder, { recursive: true, mode: 0o700 });
  await chmod(folder, 0o700);
  const open = (name: string, create: () => KeyPair) => openKey(join(folder, `${name}.nk`), create);
  const perNamespace = new Map<Namespace, NamespaceKeys>();
  for (const ns of namespaces) {
    perNamespace.set(ns, {
      agents: await open(`ns_${ns}`, createAccount),
      people: await open(`people_${ns}`, createAccount),
      tools: await open(`tools_${ns}`, createAccount),
    });
  }
  return {
    operator: await open("operator", createOperator),
    system: await open("sys", createAccount),
    plane: await open("plane", createAccount),
    agentsDoor: await open("agents_door", createAccount),
    peopleDoor: await open("people_door", createAccount),
    namespaces: perNamespace,
  };
}

async function openKey(path: string, create: () => KeyPair): Promise<KeyPair> {
  const existing = await read(path);
  if (existing) return existing;
  const made = create();
  const draft = `${path}.${randomBytes(6).toString("hex")}`;
  await writeFile(draft, made.getSeed(), { mode: 0o600, flag: "wx", flush: true });
  try {
    // A link appears whole or not at all, and fails when another process was first.
    await link(draft, path);
    return fastSigner(made);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    const winner = await read(path);
    if (!winner) throw error;
    return winner;
  } finally {
    await rm(draft, { force: true });
  }
}

async function read(path: string): Promise<KeyPair | undefined> {
  let seed: Uint8Array;
  try {
    seed = await readFile(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
  try {
    return fastSigner(fromSeed(new TextEncoder().encode(new TextDecoder().decode(seed).trim())));
  } catch (cause) {
    throw new Error(`the key file \`${path}\` is damaged`, { cause });
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
