/** An office whose journal is opened segment by segment, in a test's time. */
import { randomUUID } from "node:crypto";
import { SEGMENT_TABLE, segmentOf } from "../../schemas/segments.ts";
import { subjects } from "../../schemas/subjects.ts";
import { type JournalEvent, decodeEvent } from "../../services/bus/commit.ts";
import { provisionSegments } from "../../services/bus/streams.ts";
import { type Office, startOffice } from "../coordinator/office.ts";
import { type TestActor, withPatience } from "../harness/plane.ts";

/** What the wire's minute is in these tests. */
export const MARGIN_MS = 400;
export const QUICK = { segments: { marginMs: MARGIN_MS } } as const;

export const TABLE = `${SEGMENT_TABLE.kind}:${SEGMENT_TABLE.name}`;

/** With one coordinator that opens segments quickly. */
export async function segmentOffice(): Promise<Office> {
  const office = await startOffice({ coordinator: false });
  await office.coordinator(QUICK);
  await office.applyDefaults();
  return office;
}

/** Has the next segment opened, and begins runs until the first of them stands in it. Returns that run. */
export async function nextSegment(office: Office, agent: TestActor, segment: number): Promise<string> {
  const operator = await office.operator("segments-op");
  // as a plane does that starts, and now and then
  const provisioning = await office.server.connect("provision", `p-${randomUUID().slice(0, 8)}`);
  await provisionSegments(provisioning, office.ns);
  await provisioning.close();
  await told(office, "segments.opened", () => operator.send("control", TABLE, { verb: "open", id: `open-${segment}` }));
  for (let i = 0; ; i++) {
    const run = `${agent.name}_s${segment}-${i}`;
    await office.begin(agent, run);
    if (segmentOf((await office.events(run))[0]?.streamSeq ?? 0) === segment) return run;
  }
}

/** The table's next event of this type, after something was done. */
export async function told(office: Office, type: string, act: () => Promise<unknown>): Promise<JournalEvent> {
  const nc = await office.server.connect("auditor", `a-${randomUUID().slice(0, 8)}`);
  const live = nc.subscribe(subjects.live(office.ns, SEGMENT_TABLE.kind, SEGMENT_TABLE.name));
  await nc.flush();
  const next = (async () => {
    for await (const message of live) {
      const event = decodeEvent({ subject: message.subject, data: message.data, seq: 0, time: 0, headers: new Map() });
      if (event.body.type === type) return event;
    }
    throw new Error("the live tail ended");
  })();
  await act();
  try {
    return await withPatience(next, `the table of segments has no \`${type}\``);
  } finally {
    await nc.close();
  }
}
