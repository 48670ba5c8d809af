"""What repro itself wrote into a folder, told by a mark inside, never by a name.

A report or an archive that lies in the project is no input of the next run: packed along,
each verification would change the next snapshot.
"""

from __future__ import annotations

import re

HEAD = 16 << 10
"""Bytes from the front of a file that `ours` wants to see."""

FOLDER_MARK = "user.repro.written"
"""An extended attribute (xattr(7)) of a folder that repro made, its value the command: a file
would be one more among those of an extracted project. What copies the folder leaves it behind."""

COMMENT = "Written by `repro verify`"
"""What a comment says in reports whose form has no field for their maker."""

_FORMS = (
    re.compile(rb'<!doctype html>.{0,1500}\n<meta name="generator" content="repro[ "]', re.DOTALL),
    re.compile(rb'<\?xml version="1\.0" encoding="UTF-8"\?>\n<testsuites name="repro" '),
    re.compile(rb"<svg [^>]*><!-- Written by `repro [a-z -]+` -->"),
    re.compile(rb"<!-- Written by `repro [a-z -]+` -->\n"),
    # Files for CI, a Dockerfile: a comment in one of the first two lines.
    re.compile(rb"(?:# [^\n]*\n)?# Written by `repro (?:ci|export) "),
    re.compile(rb"Bootstrap: [^\n]+\nFrom: [^\n]+\n\n%labels\n    org\.repro\.config sha256:"),
    re.compile(rb'\{\s*"schema": ?"repro\.[a-z-]+/[0-9]+"'),
    # An archive of ours, an image for `docker load`: the front of the tar.
    re.compile(rb'oci-layout\0.*"application/vnd\.repro\.', re.DOTALL),
    re.compile(rb'manifest\.json\0.{498}\[\{"Config":"[0-9a-f]{64}\.json",[^{}]*"repro/', re.DOTALL),
)  # fmt: skip


def ours(head: bytes) -> bool:
    """Whether a file that begins like this was written by repro."""
    return any(form.match(head) for form in _FORMS)
