"""Where a stream is cut so that a change moves only the cuts beside it (content-defined chunking).

A cut hangs on the 48 bytes before it alone: behind a row that was put in or taken out the same
cuts come again. Candidates are line ends, else commas: text on one line has many, and binary
data have that byte as often as any other. Of them a checksum picks. All of it runs in C.
"""

from __future__ import annotations

import re
import zlib
from itertools import islice

SHORTEST = 256 << 10
"""No piece but the last is shorter, in bytes."""
LONGEST = 1 << 20
"""No piece is longer, in bytes."""

_CONTEXT = 48
_MOST_TIMES = 16
# The pattern, and one of how many candidates is taken: about one in 256 KiB of usual data.
_CANDIDATES = ((re.compile(rb"\n"), 4096), (re.compile(rb","), 1024))


def cut_point(data: memoryview) -> int:
    """The length of the first piece of ``data`` (at least one byte of it).

    The answer is final when ``data`` has LONGEST bytes or is the end of the stream.
    """
    end = min(len(data), LONGEST)
    if end <= SHORTEST:
        return end
    for pattern, one_in in _CANDIDATES:
        found = pattern.finditer(data, SHORTEST, end)
        seen = 0
        # So many without a hit are no accident: the data repeats itself.
        for match in islice(found, _MOST_TIMES * one_in):
            place = match.end()
            if zlib.crc32(data[place - _CONTEXT : place]) % one_in == 0:
                return place
            seen += 1
        if seen >= one_in:  # text in plenty: a binary cut inside would be another rule
            break
    return end
