"""An agent: a plain NATS client and JSON. Proposes by request and reply, and hears what became of it."""
import asyncio
import json
import os
import sys

from wire import NS, connect, say

AGENT = "shop-clerk"


async def main(run):
    nc = await connect()

    async def ask(body, wait="result", timeout_ms=20000, **more):
        reply = await nc.request(
            f"signalbox.{NS}.ask.{AGENT}.{run}",
            json.dumps(body).encode(),
            timeout=timeout_ms / 1000 + 2,
            headers={"content-type": "application/json", "signalbox-wait": wait, "signalbox-timeout-ms": str(timeout_ms), **more},
        )
        return json.loads(reply.data)

    async def propose(id, tool, input, **more):
        answer = await ask({"kind": "tool", "id": id, "tool": tool, "input": input}, **more)
        say(step=id, answer=answer)
        return answer

    # A plain subscription hears the same, for whoever would rather not wait.
    told = []

    async def hear(message):
        told.append(json.loads(message.data)["id"])

    await nc.subscribe(f"signalbox.{NS}.out.{AGENT}.{run}", cb=hear)

    say(step="early", answer=await ask({"kind": "note", "id": "early", "text": "no run yet"}))
    start = {"kind": "start", "id": "start", "agent": {"name": AGENT}, "goal": "refund order o-7"}
    # On whose behalf: a token for this agent and this run. It travels in a header, and is stored nowhere.
    say(step="start", answer=await ask(start, **{"signalbox-principal": os.environ["PRINCIPAL"]}))

    await propose("read", "shop.read_order", {"order": "o-7"})
    await propose("bad", "shop.read_order", {"order": 7, "colour": "red"})
    await propose("stranger", "shop.launch_rocket", {})
    await propose("delete", "shop.delete_order", {"order": "o-7"})
    await propose("unknown", "shop.read_order", {"order": "o-404"})
    await propose("small", "shop.refund", {"order": "o-7", "amount_usd": 20})
    # The same again, as an agent that restarted would ask: nothing is refunded twice.
    await propose("small", "shop.refund", {"order": "o-7", "amount_usd": 20})

    waiting = await propose("large", "shop.refund", {"order": "o-7", "amount_usd": 480}, wait="verdict")
    assert waiting["status"] == "pending", waiting
    await propose("large", "shop.refund", {"order": "o-7", "amount_usd": 480})

    say(step="finish", answer=await ask({"kind": "finish", "id": "finish", "output": {"refunded": 500}}))
    say(step="told", ids=sorted(set(filter(None, told))))
    await nc.drain()


asyncio.run(main(sys.argv[1]))
