"""XML as a flat list of events: no DTD is read, no entity expanded, depth bounded."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from xml.parsers import expat

from repro.compare.base import Beyond, Malformed

Start = Callable[[str, dict[str, str]], None]
End = Callable[[str], None]
_MAX_DEPTH = 400
_MAX_EVENTS = 600_000


@dataclass(frozen=True, slots=True)
class Event:
    """``kind`` is start, end, text, comment or instruction; ``path`` the place for people."""

    kind: str
    name: str
    attributes: tuple[tuple[str, str], ...] = ()
    path: str = ""


def parse_xml(data: bytes) -> list[Event]:
    """The events of a document, texts joined, attributes sorted by name.

    Raises Malformed for what is not well-formed, Beyond for an internal DTD (where
    entities live), more than 400 levels or 600,000 events.
    """
    reader = _Reader()
    parser = _parser(reader.start, reader.end, reader.text)
    parser.CommentHandler = lambda text: reader.add(Event("comment", text, path=reader.place))
    parser.ProcessingInstructionHandler = lambda target, text: reader.add(
        Event("instruction", f"{target} {text}", path=reader.place)
    )
    _parse(parser, data)
    return reader.events


def walk_xml(data: bytes, start: Start, end: End, text: End) -> None:
    """Call back for every element and text, names as ``namespace name``.

    Raises Malformed and Beyond as ``parse_xml`` does; the number of pieces is the caller's.
    """
    for _ in walk_pieces([data], start, end, text):
        pass


def walk_pieces(pieces: Iterable[bytes], start: Start, end: End, text: End) -> Iterator[None]:
    """The same for a document that comes in pieces; it stops behind each."""
    depth = 0

    def deeper(name: str, attributes: dict[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth > _MAX_DEPTH:
            raise Beyond(f"nested more than {_MAX_DEPTH} deep")
        start(name, attributes)

    def back(name: str) -> None:
        nonlocal depth
        depth -= 1
        end(name)

    parser = _parser(deeper, back, text)
    for piece in pieces:
        _parse(parser, piece, last=False)
        yield
    _parse(parser, b"")


def _parser(start: Start, end: End, text: End) -> expat.XMLParserType:
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.buffer_text = True
    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = text
    parser.StartDoctypeDeclHandler = _doctype
    parser.EntityDeclHandler = _entity
    return parser


def _parse(parser: expat.XMLParserType, data: bytes, *, last: bool = True) -> None:
    try:
        parser.Parse(data, last)
    except expat.ExpatError as error:
        raise Malformed(f"line {error.lineno}: {expat.errors.messages[error.code]}") from None
    except (UnicodeDecodeError, LookupError, ValueError) as error:
        raise Malformed(f"its encoding: {error}") from None


def _doctype(name: str, system: str | None, public: str | None, internal: bool) -> None:
    if internal:
        raise Beyond("it has an internal DTD")


def _entity(*rest: object) -> None:
    raise Beyond("it declares entities")


class _Reader:
    def __init__(self) -> None:
        self.events: list[Event] = []
        self._names: list[str] = []
        self.place = ""

    def add(self, event: Event) -> None:
        if len(self.events) >= _MAX_EVENTS:
            raise Beyond(f"more than {_MAX_EVENTS} pieces of markup")
        self.events.append(event)

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if len(self._names) >= _MAX_DEPTH:
            raise Beyond(f"nested more than {_MAX_DEPTH} deep")
        self._names.append(name.rpartition(" ")[2])
        self.place = "/".join(self._names[-4:])
        self.add(Event("start", name, tuple(sorted(attributes.items())), self.place))

    def end(self, name: str) -> None:
        self.add(Event("end", name, path=self.place))
        self._names.pop()
        self.place = "/".join(self._names[-4:])

    def text(self, text: str) -> None:
        if self.events and self.events[-1].kind == "text":
            text = self.events.pop().name + text
        self.add(Event("text", text, path=self.place))
