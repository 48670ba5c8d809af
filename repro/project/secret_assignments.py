"""Credentials that are known by the name they are given: ``password = "..."`` and its kin.

A name says what kind of value to expect; the value has to look like one. What is not a
secret (a placeholder, a path, a word, a digest) decides as much as what is.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator
from enum import Enum

_KEYWORDS = (b"pass", b"pwd", b"secret", b"token", b"key", b"auth", b"cred", b"_pat")
_NAME = re.compile(rb"[A-Za-z0-9_.-]{0,64}\Z")
_SEGMENT = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
_NAME_END = rb"([a-z0-9_-]{0,40})([\"'`]{0,2}\]?)"
_QUOTED = (
    rb"(?:\s{0,4}:\s{0,3}[a-z][a-z\[\], .|]{0,40}?)?\s{0,8}(:=|=>|[!=]={0,2}|:|<-|,|\()\s{0,8}"
    rb"[rbuf]{0,2}(?:\"{1,3}([^\s\"]{6,300})\"|'{1,3}([^\s']{6,300})'|`([^\s`]{6,300})`)"
)
_BARE = rb"([ \t]{0,8}[=:][ \t]{0,8})([^\s\"'`,;(){}\[\]<>]{6,300})"
_FLAG = rb"([ \t=]{1,4}[\"']?)([^\s\"'`,;(){}\[\]<>-][^\s\"'`,;(){}\[\]<>]{5,300})"


def _patterns(rest: bytes, before: bytes = b"") -> tuple[re.Pattern[bytes], ...]:
    return tuple(re.compile(before + re.escape(word) + _NAME_END + rest) for word in _KEYWORDS)


_QUOTED_PATTERNS = _patterns(_QUOTED)
_BARE_PATTERNS = _patterns(_BARE)
_SET_PASSWORD = re.compile(rb"(?:set_?|with_?|\.)(?:pass|password|passwd|passphrase|secret)\Z")
_SETTER = re.compile(
    rb"(?:setdefault|(?:get|set|put)env|[._]get|[._]set|header)\s?\(\s{0,20}[\"']\Z"
)
_AFTER = (b"", b" ", b"\t", b"\r", b"\n", b",", b";", b'"', b"'", b"<", b"}")
_FLAGS = re.compile(
    rb"--(?:[a-z0-9]+-)*(?:pass|pwd|secret|token|key|auth|cred)([a-z0-9_-]{0,20})()" + _FLAG
)

_NOT_THE_VALUE = frozenset(
    """count len length size type types name names file files filename path paths dir folder url
    uri href link field fields label title text hint help placeholder message msg error errors
    regex pattern policy rule rules expiry expires expiration ttl timeout limit max min env var
    variable header headers prefix suffix class id ids index idx input form page reset prompt
    strength required enabled disabled flag mode method provider manager store service services
    format version algorithm alg encoding column col map usage usages hash hashes digest checksum
    fingerprint vault ref reference template schema kind scope scopes endpoint server host domain
    email user username login encryption used changed last option options setting settings config code codes word words
    """.split()
)
"""A name that ends so says something about a secret, not the secret itself."""

_PASSWORD = re.compile(r".*(?:password|passwd|passphrase|passcode|pwd)\Z")
_STRONG = re.compile(
    r"(?:secret|secrets|.*(?:apikey|secretkey|accesskey|privatekey|authtoken|accesstoken"
    r"|refreshtoken|apitoken|clientsecret|appsecret))\Z"
)
_STRONG_BEFORE_KEY = frozenset(
    """api access secret private auth encryption encrypt signing sign master account deploy shared
    storage app application consumer admin rsa ssh aes des hmac jwt license subscription
    """.split()
)
_STRONG_BEFORE_TOKEN = frozenset(
    "auth access refresh bearer personal session api bot oauth id push deploy app user".split()
)
_ISSUERS_OF_PATS = frozenset("github gh gitlab azure devops ado databricks bitbucket".split())
_HARMLESS_BEFORE_KEY = frozenset(
    """public pub cache primary foreign partition sort group dict merge join site row map column
    lookup hash index object publishable sheet spreadsheet citation bib doi idempotency i18n
    translation locale query data config setting hot short keyboard natural unique composite
    """.split()
)


class Named(Enum):
    """What a name promises of its value."""

    PASSWORD = "password"
    SECRET = "secret"
    TOKEN = "token"
    KEY = "key"


def named(name: str) -> Named | None:
    """What the name of a variable, field or option promises, or None."""
    parts = [part.lower() for part in _SEGMENT.findall(name) if not part.isdigit()]
    if not parts or parts[-1] in _NOT_THE_VALUE:
        return None
    if any(_PASSWORD.match(part) for part in parts) or parts[-1] in ("pass", "pw"):
        return Named.PASSWORD
    if any(_STRONG.match(part) for part in parts):
        return Named.SECRET
    pairs = list(zip(["", *parts], parts, strict=False))
    if any(last == "key" and before in _STRONG_BEFORE_KEY for before, last in pairs):
        return Named.SECRET
    if any(last == "token" and before in _STRONG_BEFORE_TOKEN for before, last in pairs):
        return Named.SECRET
    capitals = name.upper() == name and len(parts) > 1
    for before, last in pairs:
        if last == "token" and capitals or last == "pat" and before in _ISSUERS_OF_PATS:
            return Named.SECRET
        if last in ("token", "jwt", "auth", "cred", "credential"):
            return Named.TOKEN
        if last == "key" and before not in _HARMLESS_BEFORE_KEY:
            return Named.KEY
    return None


_NO_VALUE = re.compile(
    r"""(?ix)
    \.{0,2}/ | ~/ | [a-z]:[\\/] | [a-z][a-z0-9+.-]*:// | (?:mailto|data|arn|urn): | \#[0-9a-f]{3,8}\Z
    | (?:sha\d+|md5|blake\w*)[-:_] | [\^~v=<>]*\d+(?:\.\d+)+[\w.+-]*\Z | \d{4}-\d\d-\d\d
    | \$[A-Z_][A-Z0-9_]*\Z | \$[a-z_]+\Z | \$\{?[a-z_][a-z0-9_]*\}?/ | %\w+%\Z | @\w+@?\Z | ENC\[ | !vault
    """
)
_PLACEHOLDER = re.compile(
    r"""(?ix)
    <[^>]*> | \$\{ | \$\( | \{\{ | %\( | \{[a-z_][^{}]*\} | \bos\.environ | getenv | x{4,} | \*{3,}
    | \.\.\.$ | … | [a-z]-z | 0-9
    | ^(?:your|insert|enter|put|replace|change|paste|add|fill)(?:[-_. ]|me\b|it\b|this\b|your)
    | ^(?:redacted|placeholder|dummy|changeme|undefined|hidden|removed)
    | (?:[-_.](?:here|goes[-_]here))$
    """
)
_HEX = re.compile(r"(?:0x)?[0-9a-fA-F]+\Z")
_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\Z")
_WORDY = re.compile(r"(?:[A-Za-z]+\d{0,4}|\d{1,4})(?:[-_.:/](?:[A-Za-z]+\d{0,4}|\d{1,4}))*\Z")
_WORDS_FOR_IT = re.compile(
    r"(?i)pass(?:word|wd|phrase)?|pwd|secret|token|credential|api[-_]?key|auth"
)
_CALL = re.compile(r"[A-Za-z_][\w.]*\(|[A-Za-z_]\w*\[")


def is_secret(promise: Named, value: str, *, quoted: bool) -> bool:
    """Whether a value that a name promises to be secret looks like one."""
    if _NO_VALUE.match(value) or _PLACEHOLDER.search(value) or _CALL.match(value):
        return False
    if len(set(value)) < 4 or not value.isprintable():
        return False
    if promise is Named.PASSWORD:
        return _is_password(value, quoted)
    if _wordy(value):
        return promise is Named.SECRET and _random_word(value)
    digit, letter = any(c.isdigit() for c in value), any(c.isalpha() for c in value)
    if not letter or not value.isascii():
        return False
    if promise is Named.SECRET:
        return len(value) >= 8 and digit and len(set(value)) >= 6
    if _UUID.match(value) or len(value) < 20 or not digit or entropy(value) < 3.0:
        return False
    if _HEX.match(value):
        return promise is Named.TOKEN and len(value) >= 32
    return (
        entropy(value) >= 3.7
        and any(c.isupper() for c in value)
        and any(c.islower() for c in value)
    )


def entropy(value: str) -> float:
    """Bits for each character (Shannon), by the value's own frequencies."""
    total = len(value)
    return -sum(n / total * math.log2(n / total) for n in Counter(value).values())


def _wordy(value: str) -> bool:
    """Words and small numbers with marks or capitals between, as names of things are."""
    if _WORDY.match(value):
        return True
    return len(value) >= 3.5 * len(_SEGMENT.findall(value)) and not _HEX.match(value)


def _random_word(value: str) -> bool:
    """One long word of mixed letters, or with digits at its end."""
    if re.search(r"[-_.:/ ]", value):
        return False
    if len(value) >= 12 and value[-1].isdigit():
        return True
    changes = sum(a.islower() and b.isupper() for a, b in zip(value, value[1:], strict=False))
    return len(value) >= 20 and changes >= 4 and entropy(value) >= 3.7


def _is_password(value: str, quoted: bool) -> bool:
    if not value.isascii():
        return False
    digit = any(char.isdigit() for char in value)
    if not any(char.isalpha() for char in value):
        return quoted and digit
    if digit:
        return not re.fullmatch(r"(?i)(?:pass(?:word|wd)?|pwd|pw)[-_]?\d{0,1}", value)
    if re.fullmatch(r"[A-Za-z]+(?:[-_./:][A-Za-z]+)*", value):
        if _WORDS_FOR_IT.search(value):
            return False
        inner = value[1:] != value[1:].lower() and value != value.upper()
        return quoted and (len(value) >= 12 or inner) and "." not in value
    return quoted or len(value) >= 8


def find_quoted(text: bytes, lower: bytes) -> Iterator[tuple[int, Named]]:
    """Where a quoted secret is given to a name, in any language: position and promise."""
    for word, pattern in zip(_KEYWORDS, _QUOTED_PATTERNS, strict=True):
        if word not in lower:
            continue
        for match in pattern.finditer(lower):
            group = next(number for number in (4, 5, 6) if match.start(number) >= 0)
            sign = match.group(3)
            promise = _promise(text, match, group)
            if promise is None or (sign == b"," and not _is_setter(lower, match)):
                continue
            if sign == b"(" and not _SET_PASSWORD.search(
                lower, max(0, match.start() - 20), match.end(1)
            ):
                continue
            if promise[1][:1] not in ",;)]}:" and is_secret(*promise, quoted=True):
                yield match.start(), promise[0]


def _is_setter(lower: bytes, match: re.Match[bytes]) -> bool:
    """``os.environ.setdefault("NAME", "value")`` and its kin; a list of words is none."""
    before = _NAME.search(lower, max(0, match.start() - 64), match.start())
    start = before.start() if before else match.start()
    return _SETTER.search(lower, max(0, start - 40), start) is not None


def find_bare(text: bytes, lower: bytes, *, code: bool) -> Iterator[tuple[int, Named]]:
    """The same without quotes: settings files, ``NAME=value`` of a shell, ``--name value``.

    In ``code`` a bare word is a variable: there only a shell's form counts.
    """
    for word, pattern in zip(_KEYWORDS, _BARE_PATTERNS, strict=True):
        if word not in lower:
            continue
        for match in pattern.finditer(lower):
            promise = _promise(text, match, 4)
            if promise is None or not _ends(lower, match) or not is_secret(*promise, quoted=False):
                continue
            if not code or (match.group(3) == b"=" and _is_shell(text, match)):
                yield match.start(), promise[0]
    if b"--" in lower:
        for match in _FLAGS.finditer(lower):
            promise = _promise(text, match, 4)
            if promise and _ends(lower, match) and is_secret(*promise, quoted=False):
                yield match.start(), promise[0]


def _ends(text: bytes, match: re.Match[bytes]) -> bool:
    """Whether a bare value ends where it may; in the pattern, it would be tried at each length."""
    return text[match.end() : match.end() + 1] in _AFTER


def _promise(text: bytes, match: re.Match[bytes], group: int) -> tuple[Named, str] | None:
    """What the whole name promises, and the value in its own case."""
    before = _NAME.search(text, max(0, match.start() - 64), match.start())
    start = before.start() if before else match.start()
    name = text[start : match.end(1)].decode("ascii", "replace")
    promise = named(name.rpartition(".")[2] if "." in name else name)
    if promise is None:
        return None
    return promise, text[match.start(group) : match.end(group)].decode("utf-8", "replace")


def _is_shell(text: bytes, match: re.Match[bytes]) -> bool:
    """``NAME=value`` with a name in capitals at the beginning of a word."""
    before = _NAME.search(text, max(0, match.start() - 64), match.start())
    start = before.start() if before else match.start()
    name = text[start : match.end(1)]
    value = text[match.start(4) : match.end(4)]
    return name == name.upper() and re.fullmatch(rb"[A-Z][A-Z_]*", value) is None
