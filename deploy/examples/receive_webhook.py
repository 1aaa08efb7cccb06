#!/usr/bin/env python3
"""Receives what adjutant sends to a consumer of the kind webhook, with Python's standard library alone.

    receive_webhook.py ADDRESS PORT SECRET_FILE OUT [CHECKPOINT]

It checks the signature as Standard Webhooks has it, refuses what was signed more than five minutes ago, or ahead, and appends each message once
to OUT, one JSON object a line: its id and its body. It answers 204 when the line is on disk, and so does a message that comes
again. SECRET_FILE holds one secret a line, as in whsec_…: two of them while one is replaced by another. Behind a proxy that
speaks TLS. Port 0 takes a free one; which it is, is printed.

Of a consumer with include = ["checkpoints"], the newest checkpoint of the audit log is kept in CHECKPOINT as it was signed, for
`adjutant audit verify --against CHECKPOINT`. One that covers less does not take its place: that is how a log looks that was
rolled back, and is said on standard error.
"""

import base64
import hashlib
import hmac
import http.server
import json
import os
import sys
import threading
import time

TOLERANCE_SECS = 300
BODY_BYTES_MAX = 4 << 20


def is_signed(secrets, message_id, timestamp, body, given):
    """Whether one of the signatures is one of ours. Compared in a time that does not depend on them."""
    signed = b".".join([message_id.encode(), timestamp.encode(), body])
    good = False
    for secret in secrets:
        wanted = base64.b64encode(hmac.new(secret, signed, hashlib.sha256).digest())
        for one in given.split():
            version, _, signature = one.partition(",")
            good |= version == "v1" and hmac.compare_digest(signature.encode(), wanted)
    return good


class Kept:
    """The messages that are on disk."""

    def __init__(self, path):
        self.lock = threading.Lock()
        self.file = open(path, "a+b")
        self.file.seek(0)
        text = self.file.read()
        whole = text[: text.rfind(b"\n") + 1]
        # What was cut off when it was killed comes again: nobody was told that it is here.
        self.file.truncate(len(whole))
        self.ids = {json.loads(line)["id"] for line in whole.splitlines()}

    def keep(self, message_id, body):
        with self.lock:
            if message_id in self.ids:
                return
            self.file.write(json.dumps({"id": message_id, "body": body}).encode() + b"\n")
            self.file.flush()
            os.fsync(self.file.fileno())
            self.ids.add(message_id)


CHECKPOINT = "adjutant.audit.checkpoint.v1"


def checkpoints(body):
    """The data of each checkpoint in a message: an event, or several."""
    try:
        events = json.loads(body)
    except ValueError:
        return []
    events = events if isinstance(events, list) else [events]
    return [event["data"] for event in events if isinstance(event, dict) and event.get("type") == CHECKPOINT]


class Anchor:
    """The newest checkpoint, in a file of its own."""

    def __init__(self, path):
        self.path = path
        self.lock = threading.Lock()

    def keep(self, data):
        with self.lock:
            origin, size = data["note"].split("\n")[:2]
            before = self.kept()
            if before and before[0] == origin and before[1] > int(size):
                print(f"{origin} covered {before[1]} entries, and now {size}: was it rolled back?", file=sys.stderr)
                return
            aside = self.path + ".tmp"
            with open(aside, "w") as file:
                file.write(data["note"])
                file.flush()
                os.fsync(file.fileno())
            os.replace(aside, self.path)

    def kept(self):
        try:
            with open(self.path) as file:
                note = file.read()
        except FileNotFoundError:
            return None
        # Empty where somebody made it beforehand.
        return (note.split("\n")[0], int(note.split("\n")[1])) if note else None


class Handler(http.server.BaseHTTPRequestHandler):
    timeout = 30

    def do_POST(self):
        self.answer(*self.received())

    def received(self):
        length = self.headers.get("Content-Length", "")
        if not length.isdigit() or int(length) > BODY_BYTES_MAX:
            return 413, "the body is too long, or its length is not told"
        body = self.rfile.read(int(length))
        names = ("webhook-id", "webhook-timestamp", "webhook-signature")
        message_id, timestamp, given = (self.headers.get(name, "") for name in names)
        if not message_id or not timestamp.isdigit():
            return 400, "the headers of Standard Webhooks are missing"
        if not is_signed(self.server.secrets, message_id, timestamp, body, given):
            return 401, "the signature is wrong"
        if abs(time.time() - int(timestamp)) > TOLERANCE_SECS:
            return 400, "it was signed too long ago, or ahead"
        if self.server.anchor:
            for data in checkpoints(body):
                self.server.anchor.keep(data)
        self.server.kept.keep(message_id, body.decode(errors="replace"))
        return 204, ""

    def answer(self, status, why):
        self.send_response(status)
        if status != 204:
            self.send_header("Content-Length", str(len(why)))
        self.end_headers()
        self.wfile.write(why.encode())

    def log_message(self, *_):
        pass


def main():
    if len(sys.argv) not in (5, 6):
        sys.exit(__doc__)
    address, port, secret_file, out = sys.argv[1:5]
    with open(secret_file) as file:
        lines = file.read().split()
    server = http.server.ThreadingHTTPServer((address, int(port)), Handler)
    server.daemon_threads = True
    server.secrets = [base64.b64decode(line.removeprefix("whsec_")) for line in lines]
    server.kept = Kept(out)
    server.anchor = Anchor(sys.argv[5]) if len(sys.argv) == 6 else None
    print(f"listening at {address}:{server.server_address[1]}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        pass
