#!/usr/bin/env python3
"""Checks the folder that `adjutant audit export --format tlog` wrote, with nothing of adjutant's but the public key of the log.

    verify_export.py FOLDER KEY

KEY is what `adjutant audit key` prints: from whoever runs the log, not from the folder. Recomputes every tile, hashes every entry, and compares the root with the signed checkpoint.
Prints how many entries there are, and which are known by their hash alone. Ends with 0 where all is as it was signed, 1 where it is not,
2 where it is not called right. Written from RFC 6962 and C2SP tlog-tiles with Python's standard library, and verify_proof.py beside it.
"""

import os
import sys

from verify_proof import Wrong, read_checkpoint, read_key, sha256

WIDTH = 256


def path_of(level, index, width):
    parts = f"{index % 1000:03}"
    while index >= 1000:
        index //= 1000
        parts = f"x{index % 1000:03}/{parts}"
    return f"tile/{level}/{parts}" + (f".p/{width}" if width < WIDTH else "")


def bytes_of(folder, path):
    with open(os.path.join(folder, path), "rb") as file:
        return file.read()


def tile(folder, level, index, width):
    path = path_of(level, index, width)
    data = bytes_of(folder, path)
    if len(data) != 32 * width:
        raise Wrong(f"{path} is no tile of {width} hashes")
    return [data[at : at + 32] for at in range(0, len(data), 32)]


def bundle(folder, index, width):
    path = path_of("entries", index, width)
    data, lines, at = bytes_of(folder, path), [], 0
    while at < len(data):
        end = at + 2 + int.from_bytes(data[at : at + 2], "big")
        if at + 2 > len(data) or end > len(data):
            raise Wrong(f"{path} ends within an entry")
        lines.append(data[at + 2 : end])
        at = end
    if len(lines) != width:
        raise Wrong(f"{path} has not {width} entries")
    return lines


def root_of(hashes):
    """The root over a full subtree."""
    while len(hashes) > 1:
        hashes = [sha256(b"\x01" + left + right) for left, right in zip(hashes[::2], hashes[1::2])]
    return hashes[0]


def tree_of(hashes):
    """The root over what is not full, parted where the RFC parts it."""
    if len(hashes) == 1:
        return hashes[0]
    split = 1 << ((len(hashes) - 1).bit_length() - 1)
    return sha256(b"\x01" + tree_of(hashes[:split]) + tree_of(hashes[split:]))


def level_above(folder, level, known):
    """Compares the tiles of a level with what they have to be; gives the roots of its full tiles, and what is not full."""
    roots, at = [], 0
    while at < len(known):
        width = min(WIDTH, len(known) - at)
        hashes = known[at : at + width]
        if tile(folder, level, at // WIDTH, width) != hashes:
            raise Wrong(f"{path_of(level, at // WIDTH, width)} is not what those below it hash to")
        if width < WIDTH:
            return roots, hashes
        roots.append(root_of(hashes))
        at += width
    return roots, []


def verify(folder, key):
    """The log's name, how many entries it has, and which of them are known by their hash alone."""
    with open(os.path.join(folder, "checkpoint"), encoding="utf-8", newline="") as file:
        origin, size, root = read_checkpoint(file.read(), read_key(key))
    by_hash, roots, rest = [], [], []
    for index in range((size + WIDTH - 1) // WIDTH):
        width = min(WIDTH, size - index * WIDTH)
        hashes = tile(folder, 0, index, width)
        for at, line in enumerate(bundle(folder, index, width)):
            number = index * WIDTH + at
            if not line:
                by_hash.append(number)
            elif sha256(b"\x00" + line) != hashes[at]:
                raise Wrong(f"entry {number} does not hash to what its tile has")
        if width == WIDTH:
            roots.append(root_of(hashes))
        else:
            rest = hashes
    # From the left: the roots of full tiles, level by level, and at the end what the leaves are that are in none.
    level, edges = 1, [rest]
    while roots:
        roots, left = level_above(folder, level, roots)
        edges.append(left)
        level += 1
    found = None
    for edge in edges:
        if edge:
            found = tree_of(edge) if found is None else joined(edge, found)
    if (found or sha256(b"")) != root:
        raise Wrong(f"its {size} entries are not those that the checkpoint was signed for")
    return origin, size, by_hash


def joined(hashes, right):
    """The root over full subtrees of one size, and what stands to the right of them, which is smaller."""
    if len(hashes) & (len(hashes) - 1) == 0:
        return sha256(b"\x01" + root_of(hashes) + right)
    split = 1 << (len(hashes).bit_length() - 1)
    return sha256(b"\x01" + root_of(hashes[:split]) + joined(hashes[split:], right))


def stretches(numbers):
    found = []
    for number in numbers:
        if found and found[-1][1] + 1 == number:
            found[-1][1] = number
        else:
            found.append([number, number])
    return found


def main(args):
    if len(args) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    try:
        origin, size, by_hash = verify(*args)
    except (OSError, ValueError, Wrong) as error:
        print(f"the export does not hold: {error}", file=sys.stderr)
        return 1
    print(f"the export holds: {size} entries of log {origin}, {len(by_hash)} known by their hash alone")
    for first, last in stretches(by_hash):
        print(f"  entries {first} to {last}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
