"""The report room: a Verdict in, text, a JSON document or one HTML page out.

May import: errors, primitives, model and its own modules.
Never: compares, reads files but templates, or lets a string from a run through unescaped.
"""
