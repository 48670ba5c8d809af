"""XML as a flat list of events: no DTD is read, no entity expanded, depth bounded."""

from __future__ import annotations

from dataclasses import dataclass
from xml.parsers import expat

from repro.compare.base import Beyond, Malformed

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
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.buffer_text = True
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.text
    parser.CommentHandler = lambda text: reader.add(Event("comment", text, path=reader.place))
    parser.ProcessingInstructionHandler = lambda target, text: reader.add(
        Event("instruction", f"{target} {text}", path=reader.place)
    )
    parser.StartDoctypeDeclHandler = reader.doctype
    parser.EntityDeclHandler = lambda *rest: reader.refuse("it declares entities")
    try:
        parser.Parse(data, True)
    except expat.ExpatError as error:
        raise Malformed(f"line {error.lineno}: {expat.errors.messages[error.code]}") from None
    except (UnicodeDecodeError, LookupError, ValueError) as error:
        raise Malformed(f"its encoding: {error}") from None
    return reader.events


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

    def doctype(self, name: str, system: str | None, public: str | None, internal: bool) -> None:
        if internal:
            self.refuse("it has an internal DTD")

    def refuse(self, reason: str) -> None:
        raise Beyond(reason)
