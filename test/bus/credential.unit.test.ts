/** A credential that is asked for anew at every connect: when it waits for a fresh one, and when it gives up. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { createAccount, createUser, encodeUser, fmtCreds } from "@nats-io/jwt";
import { Credential } from "../../services/bus/credential.ts";

const NONCE = "abcdefgh";

async function creds(secondsLeft?: number): Promise<string> {
  const user = createUser();
  const exp = secondsLeft === undefined ? {} : { exp: Math.floor(Date.now() / 1000) + secondsLeft };
  return new TextDecoder().decode(fmtCreds(await encodeUser("a", user, createAccount(), {}, exp), user));
}
const jwtOf = (text: string) => /JWT-----\n(.+)\n/.exec(text)?.[1];
const sign = (credential: Credential) => (credential.authenticator(NONCE) as { jwt: string }).jwt;

test("ID-2: each connect takes what the file holds then, and the last contents while it cannot be read", async () => {
  const [first, second] = [await creds(), await creds()];
  let now: string | undefined = first;
  const credential = new Credential(() => {
    if (now === undefined) throw new Error("not there");
    return now;
  });
  assert.equal(sign(credential), jwtOf(first));
  now = second;
  assert.equal(sign(credential), jwtOf(second));
  now = undefined;
  assert.equal(sign(credential), jwtOf(second));
  assert.throws(() => sign(new Credential(() => { throw new Error("not there"); })), /not there/);
});

test("ID-2: a credential that is good by its own words and refused twice is refused for good; a fresh one is tried", async () => {
  let now = await creds(3600);
  const credential = new Credential(() => now);
  sign(credential);
  credential.refused();
  sign(credential);
  credential.refused();
  assert.throws(() => sign(credential), /AUTHORIZATION_VIOLATION/);
  now = await creds(3600);
  assert.equal(sign(credential), jwtOf(now));
  credential.refused();
  credential.accepted();
  credential.refused();
  sign(credential);
});

test("ID-2: one that has ended is waited for, patiently", async () => {
  const old = await creds(-5);
  const credential = new Credential(() => old);
  assert.equal(credential.delay(), 250);
  for (let i = 0; i < 20; i++) {
    sign(credential);
    credential.refused();
  }
  assert.equal(credential.delay(), 2000);
});
