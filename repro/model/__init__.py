"""The nouns: frozen, keyword-only, no I/O.

Lives here: OCI documents, project, observation, recording, lock, verdict, ports.
May import: repro.primitives, repro.errors.
Never: opens a file, reads a clock, prints.
"""
