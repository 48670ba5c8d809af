"""How much of the outputs a page may carry, so that it stays one file that opens."""

from __future__ import annotations


class Budget:
    """Hands out bytes until they are used up; what did not fit is remembered by name."""

    def __init__(self, size: int) -> None:
        self.left = size
        """Bytes not yet used."""
        self.left_out: list[str] = []

    def take(self, size: int, name: str) -> bool:
        """Whether ``size`` more characters fit on the page; if not, ``name`` is noted."""
        if size > self.left:
            if name not in self.left_out:
                self.left_out.append(name)
            return False
        self.left -= size
        return True
