"""stomp.py over a WebSocket: every version, an order to its end, acknowledgements and errors."""

import json
import os
import queue
import subprocess
import sys
import tempfile
import unittest
import urllib.request
import uuid

import stomp

PATIENCE_S = 15


class Heard(stomp.ConnectionListener):
    """Puts what comes into queues."""

    def __init__(self):
        self.version = None
        self.messages = queue.Queue()
        self.errors = queue.Queue()
        self.receipts = queue.Queue()

    def on_connected(self, frame):
        self.version = frame.headers["version"]

    def on_message(self, frame):
        self.messages.put(frame)

    def on_error(self, frame):
        self.errors.put(frame)

    def on_receipt(self, frame):
        self.receipts.put(frame.headers["receipt-id"])

    def until(self, look):
        """The first message that `look` accepts."""
        while True:
            frame = self.messages.get(timeout=PATIENCE_S)
            if look(json.loads(frame.body)):
                return frame


class StompPy(unittest.TestCase):
    """The product, started once."""

    @classmethod
    def setUpClass(cls):
        program = os.environ["MILLRACE_BIN"]
        cls.folder = tempfile.TemporaryDirectory(prefix="millrace-clients-")
        arguments = ["up", "--demo", "--data", cls.folder.name]
        arguments += ["--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0"]
        # The product refuses settings that it does not know.
        settings = {key: value for key, value in os.environ.items() if not key.startswith("MILLRACE_")}
        cls.product = subprocess.Popen(
            [program, *arguments], stdout=subprocess.PIPE, text=True, env=settings
        )
        line = next(line for line in cls.product.stdout if "ready: http" in line)
        cls.url = line.split("ready: http ")[1].split()[0]
        cls.host, port = cls.url.removeprefix("http://").split(":")
        cls.port = int(port)

    @classmethod
    def tearDownClass(cls):
        cls.product.terminate()
        cls.product.wait()
        cls.product.stdout.close()
        cls.folder.cleanup()

    def order(self, sku="item1"):
        """Places an order and returns its id."""
        body = {"customerId": "OMS-Cust-001", "lines": [{"sku": sku, "quantity": 1}]}
        headers = {"Content-Type": "application/json", "Idempotency-Key": str(uuid.uuid4())}
        request = urllib.request.Request(
            f"{self.url}/api/v1/orders", json.dumps(body).encode(), headers, method="POST"
        )
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)["orderId"]

    def connect(self, version, **headers):
        """A connected client of `version`, and what it hears."""
        connection = stomp.WSStompConnection(
            [(self.host, self.port)], ws_path="/ws-orders", heartbeats=(10000, 10000)
        )
        # What it offers; it speaks 1.2 by itself.
        connection.version = version
        heard = Heard()
        connection.set_listener("heard", heard)
        connection.connect(wait=True, headers=headers)
        self.assertEqual(heard.version, version)
        return connection, heard

    def test_an_order_is_followed_to_its_end(self):
        for version in ["1.1", "1.2"]:
            with self.subTest(version=version):
                connection, heard = self.connect(version)
                connection.subscribe("/topic/orders", id="o", headers={"receipt": "there"})
                self.assertEqual(heard.receipts.get(timeout=PATIENCE_S), "there")
                order = self.order()
                frame = heard.until(
                    lambda body: body["orderId"] == order and body["status"] == "confirmed"
                )
                self.assertEqual(frame.headers["event"], "order")
                self.assertEqual(frame.headers["subscription"], "o")
                connection.unsubscribe(id="o")
                connection.disconnect()

    def test_messages_are_acknowledged_in_a_transaction_too(self):
        for mode in ["client", "client-individual"]:
            with self.subTest(mode=mode):
                connection, heard = self.connect("1.2")
                connection.subscribe("/topic/stock.item1", id="s", ack=mode, headers={"receipt": "1"})
                heard.receipts.get(timeout=PATIENCE_S)
                self.order()
                frame = heard.until(lambda body: body["sku"] == "item1")
                transaction = connection.begin()
                connection.ack(frame.headers["ack"], transaction=transaction)
                connection.commit(transaction)
                connection.nack(frame.headers["ack"], receipt="2")
                self.assertEqual(heard.receipts.get(timeout=PATIENCE_S), "2")
                self.assertTrue(heard.errors.empty())
                connection.disconnect()

    def test_sending_is_refused_with_a_reason(self):
        connection, heard = self.connect("1.2")
        connection.send("/topic/orders", "{}")
        error = heard.errors.get(timeout=PATIENCE_S)
        self.assertEqual(error.headers["message"], "not allowed")
        self.assertIn("POST /api/v1/orders", error.body)


if __name__ == "__main__":
    sys.exit(unittest.main(verbosity=2))
