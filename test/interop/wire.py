"""What all three scripts share: the environment, the connection, and one line of JSON for the test."""
import json
import os

import nats

NS = os.environ.get("SIGNALBOX_NAMESPACE", "default")


async def trouble(error):
    """What the broker forbids is told here and nowhere else."""
    if "permissions violation" in str(error).lower():
        say(forbidden=str(error))


def connect():
    """Logs in with NATS_URL and NATS_CREDS. The inbox prefix is part of a credential: no other answer arrives."""
    return nats.connect(
        os.environ["NATS_URL"],
        user_credentials=os.environ["NATS_CREDS"],
        inbox_prefix=os.environ["NATS_INBOX_PREFIX"].encode(),
        error_cb=trouble,
    )


def say(**line):
    print(json.dumps(line), flush=True)
