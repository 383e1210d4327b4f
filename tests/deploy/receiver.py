"""A webhook receiver that writes down every call: receiver.py PORT FILE. It runs in the network of what is tested."""

from __future__ import annotations

import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class Receiver(BaseHTTPRequestHandler):
    """Accepts everything."""

    def do_POST(self) -> None:
        """Write down the call, then accept it."""
        body = self.rfile.read(int(self.headers["content-length"]))
        call = {"headers": {name.lower(): value for name, value in self.headers.items()}, "body": body.decode()}
        with Path(sys.argv[2]).open("a", encoding="utf-8") as file:
            file.write(json.dumps(call) + "\n")
        self.send_response(204)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- the base class's own signature
        """Say nothing."""


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Receiver).serve_forever()
