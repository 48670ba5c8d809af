"""Kept containers: a thin writable layer over an archive's image that stays between commands.

Lives here: the state on disk, who holds a layer, what a layer changed, a process in the
background. May import: model, primitives, errors. Never: starts a sandbox or opens an archive.
"""
