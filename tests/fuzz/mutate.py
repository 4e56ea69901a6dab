"""Plain mutation: a file, damaged in a way that depends on a seed alone."""

from __future__ import annotations

import random

LENGTHS = (0, 1, 2, 127, 128, 255, 2**15, 2**16 - 1, 2**24, 2**31 - 1, 2**31, 2**32 - 1, 2**62)


def mutated(seeds: list[bytes], seed: int) -> bytes:
    """One of the files with one to four changes."""
    draws = random.Random(seed)
    content = bytearray(draws.choice(seeds))
    for _ in range(draws.choice((1, 1, 1, 2, 4))):
        place = draws.randrange(len(content) + 1)
        # Headers are short, and most of what can go wrong is in them.
        if draws.random() < 0.4:
            place = min(place, draws.randrange(64))
        size = draws.choice((1, 2, 4, 8, 64))
        change = draws.randrange(7)
        if change == 0 and place < len(content):
            content[place] ^= 1 << draws.randrange(8)
        elif change == 1:
            content[place : place + size] = draws.randbytes(size)
        elif change == 2:
            del content[place:]
        elif change == 3:
            content[place:place] = draws.randbytes(size)
        elif change == 4:
            del content[place : place + size]
        elif change == 5:
            other = draws.choice(seeds)
            start = draws.randrange(len(other))
            content[place : place + size * 8] = other[start : start + size * 8]
        else:
            width, order = draws.choice((1, 2, 4, 8)), draws.choice(("little", "big"))
            length = draws.choice(LENGTHS) % 256**width
            content[place : place + width] = length.to_bytes(width, order)
    return bytes(content)
