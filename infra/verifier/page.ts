/** The page: a file is chosen or dropped, read piece by piece, and never leaves the machine. */
import { checkExport, readKeys, type Result } from "./check.ts";

/** As much of the page's world as is used here: the tree is compiled for Node, whose names are not a page's. */
interface Place {
  textContent: string;
  className: string;
  append(...children: Place[]): void;
  replaceChildren(): void;
  addEventListener(type: string, listener: (event: { preventDefault(): void; readonly target: unknown; readonly dataTransfer?: { readonly files?: ArrayLike<File> } }) => void): void;
}
declare const document: Pick<Place, "addEventListener"> & { getElementById(id: string): Place; createElement(tag: string): Place };

/** What was chosen last. */
let chosen: File | undefined;
let keys: File | undefined;

const byId = (id: string) => document.getElementById(id);

async function* piecesOf(file: File): AsyncGenerator<Uint8Array> {
  const reader = file.stream().getReader();
  let read = 0;
  for (;;) {
    const { done, value } = (await reader.read()) as { readonly done: boolean; readonly value: Uint8Array };
    if (done) return;
    read += value.length;
    byId("state").textContent = `reading ${Math.round((100 * read) / Math.max(1, file.size))} %`;
    yield value;
  }
}

async function check(file: File): Promise<void> {
  byId("verdict").textContent = "";
  byId("details").replaceChildren();
  try {
    const began = performance.now();
    const trusted = keys === undefined ? undefined : readKeys(await keys.text());
    const result = await checkExport(piecesOf(file), trusted);
    byId("state").textContent = `${file.name}: ${result.counts.events} event(s)${result.counts.withheld > 0 ? `, ${result.counts.withheld} withheld` : ""}, ${result.counts.documents} document(s), in ${((performance.now() - began) / 1000).toFixed(1)} s`;
    shown(result);
  } catch (error) {
    byId("state").textContent = "";
    verdict(false, `it cannot be read: ${error instanceof Error ? error.message : String(error)}`);
  }
}

function verdict(good: boolean, text: string): void {
  const place = byId("verdict");
  place.className = good ? "good" : "bad";
  place.textContent = text;
}

function shown(result: Result): void {
  const { namespace, from, to, whole, faults, aggregates, checkpoints, counts } = result;
  const wrong = counts.faults + checkpoints.filter(({ fault }) => fault !== undefined).length + aggregates.filter((one) => one.faults.length > 0).length;
  const part = counts.withheld === 0 ? undefined : `not whole: ${counts.withheld} event(s) are withheld, and nobody can recompute them or what follows them; their recorded hashes are in order, and what else is here is intact`;
  verdict(whole, whole ? (part ?? "intact and identical: every chain holds, and the machines compute every event byte for byte") : `${wrong} fault(s): this is not what the plane wrote`);
  const rows = byId("details");
  const row = (mark: string, name: string, text: string) => {
    const line = document.createElement("tr");
    for (const cell of [mark, name, text]) {
      // text only: an export may hold anybody's words
      const place = document.createElement("td");
      place.textContent = cell;
      line.append(place);
    }
    line.className = mark === "ok" ? "good" : mark === "note" ? "note" : "bad";
    rows.append(line);
  };
  if (counts.events > 0) row("ok", `namespace ${namespace}`, `${from} to ${to}`);
  if (counts.withheld > 0) row("note", `withheld: ${counts.withheld}`, "not recomputable; place, order, type and states of these events are held by their recorded hashes, and what is shown of time, cause and data by none");
  for (const { line, why } of faults) row("broken", `line ${line}`, why);
  for (const { n, at, key, named_by, held, newer, fault } of checkpoints) {
    const what = `signed ${at} by key ${key}: ${held} event(s) are as they were signed${newer > 0 ? `, ${newer} are newer` : ""}`;
    const whose = named_by === "you" ? "" : "; only this file names the key: choose the keys that you were given";
    row(fault !== undefined ? "broken" : named_by === "you" ? "ok" : "note", `checkpoint ${n}`, fault ?? `${what}${whose}`);
  }
  if (checkpoints.length === 0) row("note", "no checkpoint", "that nothing is missing behind the last event of a run cannot be told");
  for (const one of aggregates) {
    const name = one.kind === "run" ? one.name : `${one.kind} ${one.name}`;
    const hidden = one.withheld === 0 ? "" : `, ${one.withheld} of them withheld, not recomputable`;
    row(one.faults.length > 0 ? "broken" : one.withheld > 0 ? "note" : "ok", name, one.faults.length === 0 ? `${one.events} event(s)${hidden}, head sha256:${one.head}` : one.faults.join("; "));
  }
}

const oneOf = (target: unknown) => (target as { readonly files?: ArrayLike<File> }).files?.[0];
byId("file").addEventListener("change", ({ target }) => {
  chosen = oneOf(target);
  if (chosen !== undefined) void check(chosen);
});
byId("keys").addEventListener("change", ({ target }) => {
  keys = oneOf(target);
  if (chosen !== undefined) void check(chosen);
});
document.addEventListener("dragover", (event) => event.preventDefault());
document.addEventListener("drop", (event) => {
  event.preventDefault();
  chosen = event.dataTransfer?.files?.[0] ?? chosen;
  if (chosen !== undefined) void check(chosen);
});
