"""Places on the network that keep archives: OCI registries.

May import: errors, primitives, model. Never: reads or writes archive files (workflows do),
trusts a byte whose digest it has not checked, sends a password to another host.
"""
