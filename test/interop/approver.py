"""An approver: asks what waits, hashes exactly what is shown, and decides on that hash."""
import asyncio
import hashlib
import json
import sys

from wire import NS, connect, say


async def main(name, run, request, decision):
    nc = await connect()
    reply = await nc.request(f"signalbox.{NS}.query.approval.{run}", json.dumps({"request": request}).encode(), timeout=10)
    if "Nats-Service-Error" in (reply.headers or {}):
        raise SystemExit(reply.headers["Nats-Service-Error"])
    asked = json.loads(reply.data)
    digest = "sha256:" + hashlib.sha256(asked["view"].encode()).hexdigest()
    say(shown=json.loads(asked["view"]))

    subject = f"signalbox.{NS}.in.decide.{name}.{run}"

    async def decide(id, digest):
        # The reply says that the decision was stored; whether it counted, the run's events and `rejected` say.
        body = {"id": id, "request": request, "decision": decision, "digest": digest, "reason": "checked by hand"}
        stored = json.loads((await nc.request(subject, json.dumps(body).encode(), timeout=10)).data)
        if "error" in stored:
            raise SystemExit(stored["error"]["description"])

    refused = asyncio.get_running_loop().create_future()

    async def hear(message):
        if not refused.done():
            refused.set_result(json.loads(message.data))

    await nc.subscribe(f"signalbox.{NS}.rejected.{name}", cb=hear)
    await nc.flush()
    await decide("with-a-wrong-digest", "sha256:" + "0" * 64)
    say(refused=await asyncio.wait_for(refused, 10))
    await decide("by-hand", digest)
    say(decided=decision)
    await nc.drain()


asyncio.run(main(*sys.argv[1:5]))
