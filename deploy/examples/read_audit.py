#!/usr/bin/env python3
"""Takes the audit log of adjutant into a file, entry by entry and in order, with Python's standard library alone.

    read_audit.py URL TOKEN_FILE OUT CURSOR [--once]

URL is that of the admin listener, as in http://127.0.0.1:8081; a token of the role auditor is enough. Entries are appended to
OUT, one JSON object a line, and only then is the place to go on from written to CURSOR. Whoever is killed in between reads some
entries again: what OUT has already is dropped, and a line that was cut off is taken away. With --once it ends at the end of the
log, else it waits for more. It ends with 1 where an answer cannot be used, and goes on where it is started again; where the
log is another than that of CURSOR, begin with another OUT and CURSOR.
"""

import json
import os
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

LIMIT = 1000
WAIT_SECS = 30
PAUSE_SECS = 2


def last_index(out):
    """The number of the last whole entry of the file, whose cut-off end is taken away."""
    out.seek(0, os.SEEK_END)
    end, tail = out.tell(), b""
    # From its end, until it holds one whole line.
    while end > 0 and tail.count(b"\n") < 2:
        start = max(0, end - 65536)
        out.seek(start)
        tail = out.read(end - start) + tail
        end = start
    whole = tail[: tail.rfind(b"\n") + 1]
    out.truncate(end + len(whole))
    out.seek(0, os.SEEK_END)
    lines = whole.splitlines()
    return json.loads(lines[-1])["index"] if lines else -1


def page(url, token, cursor, wait):
    query = {"limit": LIMIT, "wait_secs": wait}
    if cursor:
        query["after"] = cursor
    request = urllib.request.Request(f"{url}/v1/audit?{urllib.parse.urlencode(query)}")
    request.add_header("Authorization", f"Bearer {token}")
    with urllib.request.urlopen(request, timeout=wait + 30) as answer:
        return json.load(answer)


def keep(path, cursor):
    """Whole or not at all."""
    aside = path + ".new"
    with open(aside, "w") as file:
        file.write(cursor)
        file.flush()
        os.fsync(file.fileno())
    os.replace(aside, path)


def main():
    words = [word for word in sys.argv[1:] if word != "--once"]
    once = len(words) < len(sys.argv) - 1
    if len(words) != 4:
        sys.exit(__doc__)
    url, token_file, out_path, cursor_path = words
    with open(token_file) as file:
        token = file.read().strip()
    cursor = ""
    if os.path.exists(cursor_path):
        with open(cursor_path) as file:
            cursor = file.read().strip()
    with open(out_path, "a+b") as out:
        last = last_index(out)
        while True:
            try:
                got = page(url, token, cursor, 0 if once else WAIT_SECS)
            except urllib.error.HTTPError as error:
                if error.code != 503:
                    sys.exit(f"{error}: {error.read().decode(errors='replace')}")
                time.sleep(PAUSE_SECS)
                continue
            except (urllib.error.URLError, OSError) as error:
                if once:
                    sys.exit(f"{url} does not answer: {error}")
                time.sleep(PAUSE_SECS)
                continue
            new = [entry for entry in got["entries"] if entry["index"] > last]
            if new:
                out.write(b"".join(json.dumps(entry).encode() + b"\n" for entry in new))
                out.flush()
                os.fsync(out.fileno())
                last = new[-1]["index"]
            if got["next"] != cursor:
                cursor = got["next"]
                keep(cursor_path, cursor)
            elif once:
                return


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        pass
