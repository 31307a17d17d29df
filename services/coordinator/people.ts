/** Who is behind a NATS name, by the documents in force; and which identities are disabled. */
import type { GuardHit, PersonFacts, Principal } from "../../schemas/facts.ts";
import type { Person } from "../../schemas/person.ts";
import type { InForce } from "../registry/view.ts";

export interface PersonDocuments {
  person(name: string): InForce<Person> | undefined;
  persons(): readonly InForce<Person>[];
}

export class People {
  readonly #documents: PersonDocuments;
  /** Identities that a document disables, and the name in it; made when it is first asked for. One such document is enough. */
  #disabled: Map<string, string> | undefined;

  constructor(documents: PersonDocuments) {
    this.#documents = documents;
  }

  /** Documents of persons have changed. */
  changed(): void {
    this.#disabled = undefined;
  }

  /** Issuer and subject behind a name, also of one who is disabled. */
  identity(name: string): { readonly issuer: string; readonly subject: string } | undefined {
    return this.#documents.person(name)?.value.person;
  }

  /** What counts for a decision; null for an unknown name and for one who is disabled. */
  facts(name: string): PersonFacts | null {
    const found = this.#documents.person(name);
    if (found === undefined || found.value.person.disabled === true) return null;
    const { issuer, subject, roles } = found.value.person;
    return { issuer, subject, roles: [...roles], document: found.digest };
  }

  /** A person whose document disables them: they say nothing any more. */
  silenced(name: string): GuardHit | undefined {
    if (this.#documents.person(name)?.value.person.disabled !== true) return undefined;
    return { kind: "disabled", scope: `person:${name}`, reason: "the person's document says so" };
  }

  /** A principal whose own document disables it (ID-3), as an entry of the guard would cover it. */
  disabled(principal: Principal | null | undefined): GuardHit | undefined {
    if (principal?.issuer === undefined || !principal.verified) return undefined;
    this.#disabled ??= this.#find();
    if (this.#disabled.size === 0) return undefined;
    const name = this.#disabled.get(keyOf(principal.issuer, principal.subject));
    if (name === undefined) return undefined;
    const scope = `principal:${principal.issuer}|${principal.subject}`;
    return { kind: "disabled", scope, reason: `the document of person \`${name}\` disables it` };
  }

  #find(): Map<string, string> {
    const found = new Map<string, string>();
    for (const { value } of this.#documents.persons()) {
      const { issuer, subject, name, disabled } = value.person;
      if (disabled === true) found.set(keyOf(issuer, subject), name);
    }
    return found;
  }
}

const keyOf = (issuer: string, subject: string) => `${issuer}|${subject}`;
