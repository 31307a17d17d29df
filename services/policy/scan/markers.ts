/**
 * What looks like the machinery of a conversation with a model: markers of roles, calls of tools, turns that somebody
 * made up. In what a tool says they have no business. For text as it came, with its line breaks.
 */

/** Something of each of them: most texts have none and cost one look. */
const HINT = /<\||\[\/?INST|<<\/?SYS|<\/?(?:start_of_turn|end_of_turn|function_calls|tool_|invoke|system|antml)|tool_c|function_call|###|===|to=functions|^[ \t]{0,8}(?:Human|User|Assistant|SYSTEM|System|Thought|Action|human|user|assistant|system)\s?:/m;

const MARKERS: readonly (readonly [rule: string, pattern: RegExp])[] = [
  ["role_marker", /<\|(?:im_start|im_end|start_header_id|end_header_id|eot_id|endoftext|begin_of_text)\|>/],
  ["role_marker", /\[\/INST\]|<<\/?SYS>>|<\/?(?:start_of_turn|end_of_turn)>/],
  ["role_marker", /<\/?(?:system-reminder|system_prompt|system_message|system-prompt|system-message|tool_result|tool_response|system)>/i],
  ["role_marker", /^#{2,4} ?(?:system|instruction)s?:?[ \t]{0,8}\n[\s\S]{0,2000}^#{2,4} ?(?:response|user|assistant|input)\b/im],
  ["role_marker", /^[=#*-]{2,12} ?system (?:message|prompt|instructions?|override) ?[=#*-]{2,12}/im],
  ["made_up_turn", /^[ \t]{0,8}(?:Human|User)[ \t]?:[^\n]{0,2000}\n[ \t\n]{0,8}Assistant[ \t]?:/m],
  ["made_up_turn", /^[ \t]{0,8}Assistant[ \t]?:[^\n]{0,2000}\n[ \t\n]{0,8}(?:Human|User)[ \t]?:/m],
  ["made_up_turn", /^Thought\s?:[\s\S]{0,2000}^Action\s?:[\s\S]{0,400}^Action Input\s?:/m],
  ["tool_call", /<(?:function_calls|tool_call|tool_calls|tool_use|invoke)(?:>| name=)/],
  ["tool_call", /"(?:tool_calls|function_call)\\?"\s{0,4}:\s{0,4}[[{]/],
  ["tool_call", /```tool_(?:code|call)\b/],
  ["tool_call", /\bassistant to=(?:functions|tools)\./],
  ["tool_call", /\bAction: ?[a-z_.]{3,64}(?:\\n|\n)\s{0,8}Action Input:/],
];

/** The rules that a text meets. */
export function markersIn(text: string): string[] {
  if (!HINT.test(text)) return [];
  return MARKERS.flatMap(([rule, pattern]) => (pattern.test(text) ? [rule] : []));
}

/** Whether a member of this name and value is the call of a tool, as models write it. */
export function isToolCall(name: string, value: unknown): boolean {
  if (name !== "tool_calls" && name !== "function_call") return false;
  return typeof value === "object" && value !== null && Object.keys(value).length > 0;
}
