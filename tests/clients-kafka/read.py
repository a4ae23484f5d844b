"""Reads records as a consumer that is not ours does: read.py BROKERS TOPIC=COUNT ...

Prints one line of JSON per record, and fails if they do not come in time.
"""

import json
import sys
import time

from confluent_kafka import Consumer

PATIENCE_S = 60


def text(raw):
    return None if raw is None else raw.decode("utf-8")


def main(brokers, wanted):
    left = {topic: int(count) for topic, count in (word.split("=") for word in wanted)}
    consumer = Consumer(
        {
            "bootstrap.servers": brokers,
            "group.id": f"python-{time.time_ns()}",
            "auto.offset.reset": "earliest",
        }
    )
    consumer.subscribe(list(left))
    deadline = time.monotonic() + PATIENCE_S
    while any(count > 0 for count in left.values()):
        if time.monotonic() > deadline:
            sys.exit(f"these records did not come: {left}")
        message = consumer.poll(1.0)
        if message is None:
            continue
        if message.error():
            sys.exit(str(message.error()))
        left[message.topic()] -= 1
        record = {
            "topic": message.topic(),
            "key": text(message.key()),
            "headers": {name: text(value) for name, value in message.headers() or []},
            "value": text(message.value()),
        }
        print(json.dumps(record), flush=True)
    consumer.close()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
