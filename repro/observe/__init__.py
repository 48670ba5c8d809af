"""How a run is recorded, and what must be packed so that it repeats.

Lives here: the seccomp notifier, the strace fallback, overlay capture, closure, host facts.
May import: repro.model, repro.primitives, repro.errors.
Never: changes the author's folder (capture.write_back does, when asked), or packs anything.
"""
