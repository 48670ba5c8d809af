"""Readers that run in a sealed child only: one file each, by the name that `child` asks for.

May import: errors, primitives, model and its own room; libraries of extras inside ``start``.
Never: sees the other side's file, opens anything after ``start``, or decides an outcome.
"""
