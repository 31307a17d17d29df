/** Arguments for mutants of what is personal on its way in: see `argued.ts`. */
import { type Argued, of } from "./argument.ts";

const WITHOUT_KEYS = 'if (keys === undefined) return { pseudonym: () => "" as Pseudonym, sealing: () => "no_key", opening: () => undefined, demand: () => undefined };';

export const PERSONAL: readonly Argued[] = [
  ...of(
    "services/coordinator/personal.ts",
    ["if (known !== undefined && known !== hash) {", "known !== undefined", "true", "a short cut: of an input that never came no action is known, nor what was marked for it"],
    ["if (known !== undefined && known !== hash) {", "known !== hash", "true", "a short cut: what the marks of then make of it is taken only where it has the same hash, and so is the same"],
    ["if (marks.length === 0) return { value, changed: false };", "marks.length === 0", "false", "a short cut: without a mark nothing is replaced, and no key is asked for"],
    ["const documents = action === undefined ? undefined : state.actions.get(action)?.context.documents;", "action === undefined", "false", "for the compiler: no action has no name"],
    ['const keys = this.#atHand("", fetching);', '""', '"mutant"', "the time matters to what is sealed: here it is opened"],
    [WITHOUT_KEYS, '""', '"mutant"', "a pseudonym for which no key is to be had is recorded nowhere"],
    [WITHOUT_KEYS, "undefined", "undefined", "the same text: nothing is changed"],
    ['if (erased !== undefined && time <= erased) return "erased";', "erased !== undefined", "true", "no time is earlier than none: the comparison with it is false"],
    ['return key ?? "no_key";', '"no_key"', '""', "the key is demanded, which throws: what was made without it is dropped"],
    ['const tool = state.actions.get(id)?.context.tool ?? "";', '""', '"mutant"', "a request is of an action that is there"],
    ["return { value, tool, documents, put, subjects: () => (asked === undefined ? [] : [asked]) };", "asked === undefined", "false", "for the compiler: in a value that is not there no subject is found"],
  ),
];
