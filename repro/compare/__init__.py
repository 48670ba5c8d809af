"""The compare room: pairs of outputs in, outcomes on the ladder out (base, judge, formats/).

May import: errors, primitives, model and its own modules.
Never: executes, unpickles or renders what it compares, or calls two different results the same.
"""
