"""A pickle as inert parts: its opcodes are followed, nothing it names is imported or called.

The opcodes are those of Python's ``pickletools``; calls stay what they are written as, a name
and arguments, so that two pickles are the same when they would build the same objects.
"""

from __future__ import annotations

import io
import pickletools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from repro.compare.base import Beyond, Malformed

MAX_STEPS = 3_000_000
_MAX_MEMO = MAX_STEPS
_GET = ("GET", "BINGET", "LONG_BINGET")
_PUT = ("PUT", "BINPUT", "LONG_BINPUT")
_SKIPPED = ("PROTO", "FRAME", "READONLY_BUFFER")


@dataclass(eq=False)
class Part:
    """What is no plain value: a list, dict, set, global name, persistent id or object.

    ``name`` is a global's; an object has what it is made from in ``made`` (a callable and
    its arguments), what was set on it in ``state`` and ``items``, and ``data`` bytes that
    follow it outside the pickle (joblib).
    """

    kind: str
    name: str = ""
    made: tuple[object, ...] = ()
    state: list[object] = field(default_factory=list)
    items: list[object] = field(default_factory=list)
    pairs: list[tuple[object, object]] = field(default_factory=list)
    data: bytes | None = None


Outside = Callable[[Part, io.BytesIO], None]
"""Called after an object's state was set: reads what follows it outside the pickle."""


def read_pickles(data: bytes, outside: Outside = lambda part, stream: None) -> list[object]:
    """Every pickle of a file, one after the other. Raises Malformed and Beyond."""
    stream = io.BytesIO(data)
    machine = _Machine(stream, outside)
    found = []
    while stream.tell() < len(data):
        found.append(machine.run())
    if not found:
        raise Malformed("it is empty")
    return found


class _Machine:
    """The unpickler's stack and memo, over parts instead of objects."""

    def __init__(self, stream: io.BytesIO, outside: Outside) -> None:
        self._stream = stream
        self._outside = outside
        self._left = MAX_STEPS
        self._stack: list[object] = []
        self._marks: list[int] = []
        self._memo: dict[int, object] = {}

    def run(self) -> object:
        """The value of the next pickle."""
        self._stack, self._marks, self._memo = [], [], {}
        try:
            for name, argument in self._opcodes():
                if name == "STOP":
                    return self._stack.pop()
                self._step(name, argument)
        except (IndexError, KeyError, TypeError, ValueError) as error:
            raise Malformed(f"its opcodes make no sense ({type(error).__name__})") from None
        raise Malformed("a pickle has no end")

    def _opcodes(self) -> Iterator[tuple[str, object]]:
        try:
            for opcode, argument, _ in pickletools.genops(self._stream):
                self._left -= 1
                if self._left < 0:
                    raise Beyond(f"more than {MAX_STEPS} opcodes")
                yield opcode.name, argument
        except (ValueError, OverflowError) as error:
            raise Malformed(f"it is no pickle: {str(error)[:120]}") from None

    def _step(self, name: str, argument: object) -> None:
        special = getattr(self, f"_do_{name.lower()}", None)
        if special is not None:
            special(argument)
        elif name in _GET:
            self._stack.append(self._memo[int(str(argument))])
        elif name in _PUT:
            self._remember(int(str(argument)))
        elif name in _CONSTANTS:
            self._stack.append(_CONSTANTS[name])
        elif argument is not None and name.startswith(_VALUES):
            self._stack.append(bytes(argument) if isinstance(argument, bytearray) else argument)
        elif name not in _SKIPPED:
            raise Beyond(f"opcode {name} is not followed")

    def _remember(self, number: int) -> None:
        if len(self._memo) >= _MAX_MEMO:
            raise Beyond(f"more than {_MAX_MEMO} memorized values")
        self._memo[number] = self._stack[-1]

    def _since_mark(self) -> list[object]:
        start = self._marks.pop()
        found = self._stack[start:]
        del self._stack[start:]
        return found

    def _top(self) -> Part:
        top = self._stack[-1]
        if not isinstance(top, Part):
            raise TypeError
        return top

    def _do_mark(self, argument: object) -> None:
        self._marks.append(len(self._stack))

    def _do_pop(self, argument: object) -> None:
        if self._marks and self._marks[-1] == len(self._stack):
            self._marks.pop()
        else:
            self._stack.pop()

    def _do_pop_mark(self, argument: object) -> None:
        self._since_mark()

    def _do_dup(self, argument: object) -> None:
        self._stack.append(self._stack[-1])

    def _do_memoize(self, argument: object) -> None:
        self._remember(len(self._memo))

    def _do_empty_list(self, argument: object) -> None:
        self._stack.append(Part("list"))

    def _do_empty_dict(self, argument: object) -> None:
        self._stack.append(Part("dict"))

    def _do_empty_set(self, argument: object) -> None:
        self._stack.append(Part("set"))

    def _do_list(self, argument: object) -> None:
        self._stack.append(Part("list", items=self._since_mark()))

    def _do_dict(self, argument: object) -> None:
        self._stack.append(Part("dict", pairs=_paired(self._since_mark())))

    def _do_frozenset(self, argument: object) -> None:
        self._stack.append(Part("frozenset", items=self._since_mark()))

    def _do_tuple(self, argument: object) -> None:
        self._stack.append(tuple(self._since_mark()))

    def _do_tuple1(self, argument: object) -> None:
        self._last(1)

    def _do_tuple2(self, argument: object) -> None:
        self._last(2)

    def _do_tuple3(self, argument: object) -> None:
        self._last(3)

    def _last(self, count: int) -> None:
        found = tuple(self._stack[-count:])
        if len(found) != count:
            raise IndexError
        self._stack[-count:] = [found]

    def _do_append(self, argument: object) -> None:
        value = self._stack.pop()
        self._top().items.append(value)

    def _do_appends(self, argument: object) -> None:
        values = self._since_mark()
        self._top().items += values

    _do_additems = _do_appends

    def _do_setitem(self, argument: object) -> None:
        value, key = self._stack.pop(), self._stack.pop()
        self._top().pairs.append((key, value))

    def _do_setitems(self, argument: object) -> None:
        values = self._since_mark()
        self._top().pairs += _paired(values)

    def _do_global(self, argument: object) -> None:
        name = str(argument).replace(" ", ".")
        # Protocols 0 to 2 write the names of Python 2 (_compat_pickle).
        for old, new in (("__builtin__.", "builtins."), ("copy_reg.", "copyreg.")):
            name = new + name.removeprefix(old) if name.startswith(old) else name
        self._stack.append(Part("global", name))

    def _do_stack_global(self, argument: object) -> None:
        name, module = self._stack.pop(), self._stack.pop()
        self._stack.append(Part("global", f"{module}.{name}"))

    def _do_reduce(self, argument: object) -> None:
        arguments, function = self._stack.pop(), self._stack.pop()
        self._stack.append(
            _as_bytes(function, arguments) or Part("object", made=(function, arguments))
        )

    def _do_newobj(self, argument: object) -> None:
        arguments, cls = self._stack.pop(), self._stack.pop()
        self._stack.append(Part("object", made=(cls, arguments)))

    def _do_newobj_ex(self, argument: object) -> None:
        named, arguments, cls = self._stack.pop(), self._stack.pop(), self._stack.pop()
        self._stack.append(Part("object", made=(cls, arguments, named)))

    def _do_inst(self, argument: object) -> None:
        cls = Part("global", str(argument).replace(" ", "."))
        self._stack.append(Part("object", made=(cls, tuple(self._since_mark()))))

    def _do_obj(self, argument: object) -> None:
        cls, *arguments = self._since_mark()
        self._stack.append(Part("object", made=(cls, tuple(arguments))))

    def _do_build(self, argument: object) -> None:
        state = self._stack.pop()
        top = self._top()
        top.state.append(state)
        self._outside(top, self._stream)

    def _do_persid(self, argument: object) -> None:
        self._stack.append(Part("persistent", made=(argument,)))

    def _do_binpersid(self, argument: object) -> None:
        self._stack.append(Part("persistent", made=(self._stack.pop(),)))


_CONSTANTS: dict[str, object] = {
    "NONE": None,
    "NEWTRUE": True,
    "NEWFALSE": False,
    "EMPTY_TUPLE": (),
}
_VALUES = ("INT", "BININT", "LONG", "STRING", "BINSTRING", "SHORT_BIN", "BINBYTES", "BYTEARRAY8",
           "UNICODE", "BINUNICODE", "FLOAT", "BINFLOAT")  # fmt: skip


def _as_bytes(function: object, arguments: object) -> bytes | None:
    """Bytes as protocols 0 to 2 write them: a text and the name of its encoding."""
    if not (isinstance(function, Part) and function.name == "_codecs.encode"):
        return None
    if isinstance(arguments, tuple) and arguments[1:] == ("latin1",):
        text = arguments[0]
        if isinstance(text, str) and all(ord(char) < 256 for char in text):
            return text.encode("latin-1")
    return None


def _paired(values: list[object]) -> list[tuple[object, object]]:
    return list(zip(values[::2], values[1::2], strict=True))
