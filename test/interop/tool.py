"""A tool: serves its name in the queue group `q`, answers with output or with the headers of a failure."""
import asyncio
import json
import signal
import sys

from wire import NS, connect, say

ORDERS = {"o-7": 500.0}
refunds = {}


class Failure(Exception):
    def __init__(self, code, message, effect):
        super().__init__(message)
        self.code, self.effect = code, effect


def read_order(input, key):
    if input["order"] not in ORDERS:
        raise Failure("order.unknown", f"there is no order {input['order']}", "none")
    return {"order": input["order"], "total_usd": ORDERS[input["order"]]}


def refund(input, key):
    # Remembered by the key: an attempt that is repeated does not refund twice.
    if key not in refunds:
        refunds[key] = {"refund": f"re-{len(refunds) + 1}"}
        say(refunded=input["amount_usd"], key=key)
    return refunds[key]


HANDLERS = {"shop.read_order": read_order, "shop.refund": refund}


async def main(tool):
    nc = await connect()
    stopped = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set_result, None)

    async def serve(message):
        headers = message.headers or {}
        say(called=tool, **{name: headers.get(f"signalbox-{name}") for name in ("run", "action", "attempt", "digest", "deadline")})
        try:
            output = HANDLERS[tool](json.loads(message.data), headers["signalbox-idempotency-key"])
        except Failure as failure:
            await nc.publish(
                message.reply,
                b"",
                headers={"Nats-Service-Error-Code": failure.code, "Nats-Service-Error": str(failure), "signalbox-effect": failure.effect},
            )
            return
        await message.respond(json.dumps(output).encode())

    await nc.subscribe(f"signalbox.{NS}.call.{tool}", queue="q", cb=serve)
    await nc.flush()
    say(serving=tool)
    await stopped
    await nc.drain()


asyncio.run(main(sys.argv[1]))
