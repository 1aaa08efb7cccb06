#!/usr/bin/env python3
"""Checks what `adjutant audit prove` wrote, with nothing of adjutant's but the public key of the log.

    verify_proof.py PROOF KEY [DETAIL]

KEY is what `adjutant audit key` prints, more than one line where the key was changed; DETAIL what `adjutant audit prove --detail` wrote. Prints the entry. Ends with 0 where the proof holds, 1 where it does not, 2 where it is not called right.
Written from RFC 6962 (trees), RFC 8032 (Ed25519) and C2SP signed-note, tlog-checkpoint and tlog-proof, with Python's standard
library alone.
"""

import base64
import hashlib
import json
import sys


class Wrong(Exception):
    """The proof does not hold, and why."""


# Ed25519, as RFC 8032 has it: points in extended coordinates (X, Y, Z, T).

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P
I = pow(2, (P - 1) // 4, P)


def add(p, q):
    a = (p[1] - p[0]) * (q[1] - q[0]) % P
    b = (p[1] + p[0]) * (q[1] + q[0]) % P
    c = 2 * p[3] * q[3] * D % P
    d = 2 * p[2] * q[2] % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return (e * f % P, g * h % P, f * g % P, e * h % P)


def times(s, p):
    q = (0, 1, 1, 0)
    while s > 0:
        if s & 1:
            q = add(q, p)
        p = add(p, p)
        s >>= 1
    return q


def same(p, q):
    return (p[0] * q[2] - q[0] * p[2]) % P == 0 and (p[1] * q[2] - q[1] * p[2]) % P == 0


def point(data):
    y = int.from_bytes(data, "little")
    sign, y = y >> 255, y & (2**255 - 1)
    if y >= P:
        raise Wrong("a point of Ed25519 is out of range")
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P != 0:
        x = x * I % P
    if (x * x - square) % P != 0 or (x == 0 and sign):
        raise Wrong("a point of Ed25519 is not on the curve")
    if x & 1 != sign:
        x = P - x
    return (x, y, 1, x * y % P)


BASE = point((4 * pow(5, -1, P) % P).to_bytes(32, "little"))


def is_signed(key, signature, message):
    if len(key) != 32 or len(signature) != 64:
        return False
    s = int.from_bytes(signature[32:], "little")
    if s >= L:
        return False
    k = int.from_bytes(hashlib.sha512(signature[:32] + key + message).digest(), "little") % L
    return same(times(s, BASE), add(point(signature[:32]), times(k, point(key))))


# Notes, checkpoints, proofs.


def decoded(text, what):
    try:
        data = base64.b64decode(text, validate=True)
    except ValueError:
        raise Wrong(f"{what} is no base64") from None
    if base64.b64encode(data).decode() != text:
        raise Wrong(f"{what} is not written as base64 is")
    return data


def number(text, what):
    if not (text.isascii() and text.isdigit() and str(int(text)) == text):
        raise Wrong(f"{what} is no number")
    return int(text)


def read_key(text):
    """The keys of a text, one a line: a log has more than one where its key was changed."""
    return [read_line(line) for line in text.splitlines() if line.strip()]


def read_line(text):
    name, _, rest = text.strip().partition("+")
    key_id, _, key = rest.partition("+")
    key = decoded(key, "the key")
    if len(key) != 33 or key[0] != 1:
        raise Wrong("the key is not one of Ed25519")
    expected = hashlib.sha256(name.encode() + b"\n" + key).digest()[:4]
    if expected.hex() != key_id:
        raise Wrong("the key's id is not that of its name and key")
    return name, expected, key[1:]


def open_note(note, keys):
    text, gap, lines = note.rpartition("\n\n")
    if not gap or not lines.endswith("\n"):
        raise Wrong("the checkpoint has no signature")
    text += "\n"
    signed = False
    for line in lines[:-1].split("\n"):
        dash, _, rest = line.partition(" ")
        signer, _, signature = rest.partition(" ")
        if dash != "\u2014":
            raise Wrong("a line of the checkpoint is no signature")
        data = decoded(signature, "a signature")
        # Other keys are nobody's business here.
        for name, key_id, public in keys:
            if signer == name and data[:4] == key_id:
                if not is_signed(public, data[4:], text.encode()):
                    raise Wrong("the signature of the checkpoint is wrong")
                signed = True
    if not signed:
        raise Wrong("the checkpoint is not signed with this key")
    return text


def read_checkpoint(note, keys):
    lines = open_note(note, keys).split("\n")
    if len(lines) < 4 or not lines[0]:
        raise Wrong("the checkpoint has not three lines")
    return lines[0], number(lines[1], "its size"), decoded(lines[2], "its root")


def read_proof(text):
    head, gap, checkpoint = text.partition("\n\n")
    lines = head.split("\n")
    if not gap or lines.pop(0) != "c2sp.org/tlog-proof@v1":
        raise Wrong("it is no c2sp.org/tlog-proof@v1")
    entry = b""
    if lines and lines[0].startswith("extra "):
        entry = decoded(lines.pop(0)[6:], "the entry")
    if not lines or not lines[0].startswith("index "):
        raise Wrong("it has no index")
    index = number(lines.pop(0)[6:], "the index")
    path = [decoded(line, "a hash") for line in lines]
    if any(len(part) != 32 for part in path):
        raise Wrong("a hash has not 32 bytes")
    return entry, index, path, checkpoint


def sha256(data):
    return hashlib.sha256(data).digest()


def root_of(leaf, index, size, path):
    """The root that a leaf and its path lead to: the tree is parted where the RFC parts it."""
    if size == 1:
        if path:
            raise Wrong("the path is too long")
        return leaf
    if not path:
        raise Wrong("the path is too short")
    split = 1 << ((size - 1).bit_length() - 1)
    *below, top = path
    if index < split:
        return sha256(b"\x01" + root_of(leaf, index, split, below) + top)
    return sha256(b"\x01" + top + root_of(leaf, index - split, size - split, below))


def verify(proof, keys):
    entry, index, path, checkpoint = read_proof(proof)
    origin, size, root = read_checkpoint(checkpoint, read_key(keys))
    if not entry:
        raise Wrong("it has no entry: that was forgotten")
    if index >= size or root_of(sha256(b"\x00" + entry), index, size, path) != root:
        raise Wrong(f"the entry is not number {index} of the {size} of {origin}")
    return origin, index, size, entry


def checked_detail(shown, entry):
    """The detail, where it is the one that the entry has by hash: SHA-256 of 16 bytes of salt and its JSON."""
    shown = json.loads(shown)
    salt, text = bytes.fromhex(shown["salt"]), shown["detail"]
    if len(salt) != 16 or sha256(salt + text.encode()).hex() != json.loads(entry)["detail"]["salted"]:
        raise Wrong("the detail is not that of the entry")
    return text


def main(args):
    if len(args) not in (2, 3):
        print(__doc__, file=sys.stderr)
        return 2
    try:
        with open(args[0], encoding="utf-8", newline="") as file:
            origin, index, size, entry = verify(file.read(), args[1])
        detail = None
        if len(args) == 3:
            with open(args[2], encoding="utf-8") as file:
                detail = checked_detail(file.read(), entry)
    except (OSError, ValueError, KeyError, TypeError, Wrong) as error:
        print(f"the proof does not hold: {error}", file=sys.stderr)
        return 1
    print(f"the proof holds: entry {index} is in log {origin}, among the first {size}")
    print(entry.decode(errors="replace"))
    if detail is not None:
        print(detail)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
