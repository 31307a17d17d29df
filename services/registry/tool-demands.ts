/** What a tool must keep to beyond its form: every field that it speaks of exists, and a cleansing output is closed. */
import { fieldSegments } from "../../schemas/field.ts";
import { type Tool } from "../../schemas/tool.ts";
import { openings } from "./closed-schema.ts";
import { type Finding } from "./explain.ts";
import { declares, typesAt } from "./declares.ts";
import { personalFindings, touches } from "./personal.ts";

export function toolDemands(tool: Tool): Finding[] {
  const found: Finding[] = [];
  const say = (path: readonly (string | number)[], code: string, message: string, help?: string) => {
    found.push({ path: path.map(String), code: `tool.${code}`, message, ...(help !== undefined && { help }) });
  };
  if (tool.adapter.type === "registry") say(["adapter"], "adapter", "the adapter `registry` is the plane's own", "tools of yours have the adapter `nats` or `builtin`");
  if (tool.probe !== undefined && tool.effect === "read") say(["probe"], "probe", "a read changes nothing, and is never in doubt", "take `probe` away, or say what the tool writes");
  const input = (path: readonly (string | number)[], field: string, what: string, types: readonly string[]) => {
    if (!declares(tool.input, field)) return say(path, "field", `\`${field}\` is not declared in \`input\``);
    const said = typesAt(tool.input, field);
    if (said !== undefined && !said.some((type) => types.includes(type))) say(path, "field", `\`${field}\` is ${said.join(" or ")}, and ${what} is ${types.join(" or ")}`);
    if (tool.personal.some(({ path: mark }) => touches(fieldSegments(mark), fieldSegments(field)))) {
      say(path, "personal", `\`${field}\` is personal, and nothing is judged by a personal field`, "take it out of `personal`, or name another field");
    }
  };
  if (tool.amount !== undefined) {
    const { field, currency, target } = tool.amount;
    input(["amount", "field"], field, "an amount", ["number", "integer"]);
    if (typeof currency !== "string") input(["amount", "currency", "field"], currency.field, "a currency", ["string"]);
    if (target !== undefined) input(["amount", "target"], target, "a target", ["string", "number", "integer"]);
  }
  for (const side of ["max_input", "max_output"] as const) {
    const limit = tool.tokens?.[side];
    if (typeof limit === "object") input(["tokens", side, "field"], limit.field, "a number of tokens", ["integer", "number"]);
  }
  found.push(...personalFindings(tool.personal, ["personal"], "tool"));
  const labels = new Set<string>();
  tool.labels?.forEach(({ label, path }, i) => {
    if (path !== undefined && !declares(tool.output, path)) say(["labels", i, "path"], "field", `\`${path}\` is not declared in \`output\``);
    const key = `${label} ${path ?? ""}`;
    if (labels.has(key)) say(["labels", i], "label_twice", `\`${label}\` stands here twice`);
    labels.add(key);
  });
  tool.clearance?.forEach((label, i) => {
    if (tool.clearance?.indexOf(label) !== i) say(["clearance", i], "label_twice", `\`${label}\` stands here twice`);
  });
  tool.tags.forEach((tag, i) => {
    if (tool.tags.indexOf(tag) !== i) say(["tags", i], "tag_twice", `\`${tag}\` stands here twice`);
  });
  if (tool.cleanses === true) {
    for (const { path, message, help } of openings(tool.output, ["output"])) say(path, "not_closed", message, help);
    if (tool.labels?.some(({ label }) => label === "secret") === true) say(["cleanses"], "cleanses", "a tool that gives secrets cleanses nothing");
  }
  return found;
}
