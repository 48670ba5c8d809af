"""One verb per file: the only place where two rooms meet.

Lives here: init, snapshot, verify, run, inspect, extract, diff, doctor.
May import: every room, repro.model, repro.primitives, repro.errors.
Never: prints, exits, reads the clock or os.environ (they come in as arguments).
"""
