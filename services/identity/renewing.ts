/**
 * The credential of a built-in service: it lives in the service's memory and in no file, and a fresh one is ready before
 * it ends. The server ends a connection with its credential, whatever is on its way then, so these live for a week.
 */
import { issueCreds, type CredsRequest } from "./creds.ts";
import type { PlaneKeys } from "./keys.ts";

export const SERVICE_TTL_SECONDS = 7 * 24 * 3600;

export interface RenewingCreds {
  readonly inboxPrefix: string;
  /** The contents of a `.creds` file that is good now. */
  readonly current: () => string;
  stop(): void;
}

/** @throws as {@link issueCreds} */
export async function renewingCreds(keys: PlaneKeys, request: Omit<CredsRequest, "ttlSeconds">, ttlSeconds: number = SERVICE_TTL_SECONDS): Promise<RenewingCreds> {
  let issued = await issueCreds(keys, { ...request, ttlSeconds });
  const renew = async () => {
    // when the folder cannot be written now, the next time is early enough
    issued = await issueCreds(keys, { ...request, ttlSeconds }).catch(() => issued);
  };
  const timer = setInterval(() => void renew(), (ttlSeconds * 1000) / 3).unref();
  return { inboxPrefix: issued.inboxPrefix, current: () => issued.creds, stop: () => clearInterval(timer) };
}
