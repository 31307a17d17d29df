/**
 * The forms of secrets that are recognised for certain, or nearly so: a false alarm refuses an honest proposal.
 * Every pattern is linear: what repeats is bounded, or cannot begin in the middle of what it matches.
 */

export interface SecretRule {
  readonly name: string;
  /** Global. The secret is group 1 where there is one, the match otherwise. */
  readonly pattern: RegExp;
  /** What the pattern alone does not tell. */
  readonly check?: (secret: string) => boolean;
}

const rule = (name: string, pattern: RegExp, check?: (secret: string) => boolean): SecretRule => ({ name, pattern, ...(check && { check }) });

/** Not in the middle of a longer word of the same alphabet. */
const START = "(?<![A-Za-z0-9_-])";
const token = (name: string, body: string, check?: (secret: string) => boolean) => rule(name, new RegExp(`${START}${body}`, "g"), check);

/** Begins as nothing else does, wherever it stands. Bounded, so that a row of beginnings costs no more than its length. */
const prefixed = (name: string, body: string, check?: (secret: string) => boolean) => rule(name, new RegExp(body, "g"), check);

/** Examples of manuals, and what stands for a secret that somebody else fills in. */
const notAnExample = (secret: string) => !/example|xxxx|\.\.\.|…/i.test(secret);
/** Random text has digits and letters, and no words between dashes. */
const mixed = (secret: string) => /\d/.test(secret) && /[A-Za-z]/.test(secret) && distinct(secret) >= 8 && notAnExample(secret);

export const SECRET_RULES: readonly SecretRule[] = [
  token("jwt", String.raw`(eyJ[A-Za-z0-9_-]{10,8192}\.(?:eyJ[A-Za-z0-9_-]{8,65536}\.[A-Za-z0-9_-]{0,4096}|[A-Za-z0-9_-]{0,4096}\.[A-Za-z0-9_-]{8,64}\.[A-Za-z0-9_-]{8,65536}\.[A-Za-z0-9_-]{16,64}))`, notAnExample),
  token("nkey_seed", String.raw`(S[ACNOUX][A-Z2-7]{56})(?![A-Za-z0-9])`, (text) => distinct(text) >= 12),
  prefixed("aws_access_key", String.raw`(?<![A-Za-z0-9])((?:AKIA|ASIA)[A-Z2-7]{16})(?![A-Za-z0-9])`, notAnExample),
  rule("aws_secret_key", /(?:aws|AWS)[A-Za-z_]{0,24}(?:secret|SECRET|Secret)[A-Za-z_]{0,24}[\\"']{0,3}\s{0,4}[:=]\s{0,4}[\\"']{0,3}([A-Za-z0-9/+]{40})(?![A-Za-z0-9/+=])/g, mixed),
  prefixed("gcp_key", String.raw`(AIza[A-Za-z0-9_-]{35})(?![A-Za-z0-9_-])`, mixed),
  token("gcp_token", String.raw`(ya29\.[A-Za-z0-9_-]{20,2048})`, mixed),
  prefixed("gcp_secret", String.raw`(GOCSPX-[A-Za-z0-9_-]{20,64})`),
  rule("azure_key", /AccountKey=([A-Za-z0-9+/]{64,88}={0,2})/g, mixed),
  prefixed("github_token", String.raw`(gh[pousr]_[A-Za-z0-9]{36,255}|github_pat_[A-Za-z0-9_]{22,255})`, mixed),
  prefixed("gitlab_token", String.raw`(glpat-[A-Za-z0-9_-]{20,64})`, mixed),
  prefixed("slack_token", String.raw`(xox[abeoprs]-[A-Za-z0-9-]{16,255}|xapp-[0-9]-[A-Za-z0-9-]{20,255})`, mixed),
  rule("slack_webhook", /hooks\.slack\.com\/services\/(T[A-Z0-9]{6,16}\/B[A-Z0-9]{6,16}\/[A-Za-z0-9]{16,64})/g, mixed),
  prefixed("stripe_key", String.raw`((?:sk|rk)_(?:live|test)_[A-Za-z0-9]{16,255})`, mixed),
  prefixed("stripe_webhook", String.raw`(whsec_[A-Za-z0-9+/=]{24,128})`, mixed),
  token("model_key", String.raw`(sk-(?:ant-|proj-|svcacct-|or-v1-)?[A-Za-z0-9_-]{32,255})`, (text) => mixed(text) && /[A-Z]/.test(text)),
  prefixed("npm_token", String.raw`(npm_[A-Za-z0-9]{36})(?![A-Za-z0-9])`, mixed),
  prefixed("pypi_token", String.raw`(pypi-AgE[A-Za-z0-9_-]{40,512})`),
  token("sendgrid_key", String.raw`(SG\.[A-Za-z0-9_-]{16,32}\.[A-Za-z0-9_-]{32,64})`, mixed),
  token("huggingface_token", String.raw`(hf_[A-Za-z0-9]{34})(?![A-Za-z0-9])`, mixed),
  prefixed("vault_token", String.raw`(hvs\.[A-Za-z0-9_-]{24,255})`, mixed),
  token("telegram_token", String.raw`([0-9]{8,10}:AA[A-Za-z0-9_-]{33})(?![A-Za-z0-9_-])`, mixed),
  prefixed("age_key", String.raw`(AGE-SECRET-KEY-1[0-9A-Z]{58})`),
  rule("bearer", /(?<![A-Za-z])[Bb](?:earer|EARER)[ \t]{1,4}([A-Za-z0-9._~+/-]{20,8192}={0,2})/g, mixed),
  rule("basic_auth", /(?<![A-Za-z])[Aa]uthorization[\\"']{0,3}[ \t]{0,4}[:=][ \t]{0,4}[\\"']{0,3}[Bb]asic[ \t]{1,4}([A-Za-z0-9+/]{12,512}={0,2})/g, notAnExample),
  rule("url_password", /(?<=[A-Za-z0-9]:\/\/[A-Za-z0-9._%+-]{0,64}:)([^\s/@:"'<>{}$()[\]*]{6,128})(?=@[A-Za-z0-9])/g, (text) => notAnExample(text) && !COMMON.test(text)),
  rule("password", new RegExp(String.raw`(?<![A-Za-z])(?:${"[Pp]ass(?:word|wd|phrase)|PASS(?:WORD|WD|PHRASE)|[Pp]asswort|[Cc]ontraseña|[Mm]ot de passe|pwd|PWD"})[\\"']{0,3}[ \t]{0,4}(?:=|:|=>|:=)[ \t]{0,4}[\\"'${"`"}]{0,3}([^\s"'\\,;<>&${"`"}]{8,256})`, "g"), (text) => looksReal(text)),
  rule("credential", new RegExp(String.raw`(?:(?:[Cc]lient|[Aa]pp|[Ss]igning|[Ww]ebhook|[Ss]hared)[_-]?[Ss]ecret|(?:CLIENT|APP|SIGNING|WEBHOOK|SHARED)_SECRET|[Ss]ecret[_-]?[Kk]ey|SECRET_KEY|[Aa]pi[_-]?[Kk]ey|API_?KEY|(?:[Aa]ccess|[Rr]efresh|[Aa]uth|[Aa]pi|[Bb]ot)[_-]?[Tt]oken|(?:ACCESS|REFRESH|AUTH|API|BOT)_TOKEN)[\\"']{0,3}[ \t]{0,4}(?:=|:|=>|:=)[ \t]{0,4}[\\"'${"`"}]{0,3}([A-Za-z0-9._~+/=-]{16,512})`, "g"), (text) => looksReal(text) && mixed(text)),
];

/** Names of members whose value is a secret, whatever it looks like, as long as it looks like a value at all. */
const NAMES = /^(?:[a-z0-9]+[_-])*(?:pass(?:word|wd|phrase)|passwort|pwd|client[_-]?secret|secret[_-]?(?:access[_-]?)?key|private[_-]?key|api[_-]?key|(?:access|refresh|auth|api|bot)[_-]?token)$/i;

/** Whether a member of this name holds a secret: `password`, `db_password`, `apiKey`, and what stands in it is one. */
export function namedSecret(name: string, value: string): boolean {
  if (name.length > 64 || value.length < 8 || value.length > 8192) return false;
  if (!NAMES.test(name)) return false;
  return /pass|pwd/i.test(name) ? looksReal(value) : looksReal(value) && value.length >= 16 && mixed(value);
}

/** What people write where a secret would stand. */
const COMMON = /^(?:pass(?:word|wd)?|secret|changeme|example|your[_-]?\w*|user(?:name)?|token)\d{0,3}$/i;
/** A reference to where the secret is, or a piece of code. */
const REFERENCE = /^[$%<{[*@/~.#|]|^(?:env|vault|secret|secrets|ref|arn|op|file|process|os|config|settings|self|this|null|none|true|false|undefined|string)\b|[(){}<>|]|\*{3}|:\/\/|^[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+$/i;
const STANDS_FOR = /example|placeholder|redact|remov|hidden|masked|changeme|change_me|change-me|your[_-]|xxxx|\.\.\.|…|dummy|insert|required|optional|minimum/i;

/** A value that a person or a machine made up: not a word, not a reference, not a placeholder. */
function looksReal(value: string): boolean {
  if (/\s/.test(value) || distinct(value) < 5) return false;
  if (REFERENCE.test(value) || STANDS_FOR.test(value) || COMMON.test(value)) return false;
  if (/^[0-9a-f]{8}-[0-9a-f]{4}-/i.test(value)) return false;
  const kinds = Number(/[a-z]/.test(value)) + Number(/[A-Z]/.test(value)) + Number(/\d/.test(value)) + Number(/[^A-Za-z0-9]/.test(value));
  return kinds >= 2 && (/\d/.test(value) || kinds >= 3);
}

/** Different characters, of at most 256. */
function distinct(text: string): number {
  return new Set(text.slice(0, 256)).size;
}
