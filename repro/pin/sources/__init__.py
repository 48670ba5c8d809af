"""Plug-ins, one file each."""
