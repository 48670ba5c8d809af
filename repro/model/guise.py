"""How the machine looks to a sealed run: what a probe varies without the analysis's doing."""

from __future__ import annotations

from repro.model.system import HOST, UID, USER
from repro.primitives.frozen import frozen


@frozen
class Guise:
    """Names and numbers that a run sees of its machine.

    ``cpus`` are the processors that it may use, by number; none named: all. With
    ``fixed_addresses`` the kernel does not randomise where programs and libraries lie.
    """

    host: str = HOST
    user: str = USER
    uid: int = UID
    cpus: tuple[int, ...] = ()
    fixed_addresses: bool = False

    @property
    def asked(self) -> frozenset[str]:
        """The names of the fields that are not as usual."""
        usual = vars(Guise())
        return frozenset(name for name, value in vars(self).items() if value != usual[name])


AS_USUAL = Guise()
GUISES = frozenset(vars(AS_USUAL))
"""The names of all fields, for an engine that can do all of it."""
