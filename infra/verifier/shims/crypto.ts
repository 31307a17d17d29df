/** What the verifier's code asks of `node:crypto`, for a page: SHA-256 and nothing else. */
import { sha256 } from "@noble/hashes/sha2.js";
import { Buffer } from "buffer";

type Input = string | Uint8Array;
const bytes = (input: Input): Uint8Array => (typeof input === "string" ? Buffer.from(input, "utf8") : input);

function inForm(digest: Uint8Array, form: string | undefined): unknown {
  const buffer = Buffer.from(digest);
  return form === "hex" || form === "base64" || form === "base64url" ? buffer.toString(form) : buffer;
}

export function hash(algorithm: string, input: Input, form = "hex"): unknown {
  return createHash(algorithm).update(input).digest(form);
}

export function createHash(algorithm: string) {
  if (algorithm !== "sha256") throw new Error(`\`${algorithm}\` is not known here`);
  return hashing(sha256.create());
}

function hashing(state: ReturnType<typeof sha256.create>) {
  return {
    update(input: Input) {
      state.update(bytes(input));
      return this;
    },
    copy: () => hashing(state.clone()),
    digest: (form?: string) => inForm(state.digest(), form),
  };
}
