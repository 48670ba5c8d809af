"""Credentials that are known by their own form, whatever stands around them.

The forms are those their issuers document: a prefix, an alphabet, a length. ``anchors`` are
looked for first, by plain search: a pattern is tried only on text that holds one of its own.
"""

from __future__ import annotations

import base64
import binascii
import re
import string
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from enum import Enum

from repro.primitives.frozen import frozen

_MARKS = b"_-.:%~"
_OF_TOKENS = frozenset(string.ascii_letters.encode() + string.digits.encode() + b"+/=" + _MARKS)
_MASK = bytes(ord("a") if code in _OF_TOKENS else ord(" ") for code in range(256))
_LONG = b"a" * 20
_BEGINNING = 4096
_BLOB = re.compile(rb"[A-Za-z0-9+/]{64}\Z")
_PLACEHOLDER = re.compile(
    rb"(?i)[<>{}*$%]|\.\.\.|x{4,}|^(?:your|my)?[_-]?(?:pass(?:word|wd|phrase)?|pwd|pw|secret|token"
    rb"|api[_-]?key|key|credentials?)(?:[_-]?here)?$|^(?:redacted|hidden|none|null)$"
)


class Where(Enum):
    """Where a form is looked for: most are tried on little of a text, so that all are cheap.

    A RUN is a stretch of characters that tokens are made of, with a mark in it (``_ - . : % ~``);
    a PLAIN one has letters, digits and base64's signs alone. TEXT is all of it.
    """

    RUN = "run"
    PLAIN = "plain"
    TEXT = "text"


@frozen
class Form:
    """One kind of credential.

    ``anchors`` are the literal texts of which a match holds at least one; ``folded`` says
    that anchors and pattern are for lower-case text; ``inside``, that a letter may stand before
    a match. When the pattern has a group, that is the credential itself; ``check`` has the
    last word on it.
    """

    kind: str
    anchors: tuple[bytes, ...]
    pattern: re.Pattern[bytes]
    where: Where = Where.RUN
    folded: bool = False
    inside: bool = False
    check: Callable[[bytes], bool] | None = None

    def find(self, text: bytes, lower: bytes) -> Iterator[int]:
        """Where credentials of this form begin; ``lower`` is ``text`` in lower case."""
        searched = lower if self.folded else text
        if not any(anchor in searched for anchor in self.anchors):
            return
        for match in self.pattern.finditer(searched):
            if not self.inside and text[max(0, match.start() - 1) : match.start()].isalnum():
                continue
            # Letters that happen to look like a token inside a picture's base64.
            if _BLOB.search(text, max(0, match.start() - 64), match.start()):
                continue
            value = text[slice(*match.span(1))] if match.re.groups else match.group()
            if self.check is None or self.check(value):
                yield match.start()


class _Runs:
    """Stretches of a text put together, a line each, and where each came from."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._starts: list[int] = []
        self._places: list[int] = []
        self._size = 0

    def add(self, piece: bytes, place: int) -> None:
        self._pieces.append(piece)
        self._starts.append(self._size)
        self._places.append(place)
        self._size += len(piece) + 1

    def joined(self) -> bytes:
        return b"\n".join(self._pieces)

    def place(self, position: int) -> int:
        """The position in the text of one in what was put together."""
        number = bisect_right(self._starts, position) - 1
        return self._places[number] + position - self._starts[number]


def find_forms(text: bytes, lower: bytes) -> Iterator[tuple[int, str]]:
    """Credentials of every known form: where each begins, and its kind."""
    marked, plain = _runs(text)
    run, blob = marked.joined(), plain.joined()
    for form in _held(_ANCHORS[_TEXT], text) + _held(_ANCHORS[_FOLDED], lower):
        for position in form.find(text, lower):
            yield position, form.kind
    for form in _held(_ANCHORS[_RUN], run):
        for position in form.find(run, b""):
            yield marked.place(position), form.kind
    for form in _held(_ANCHORS[_PLAIN], blob):
        for position in form.find(blob, b""):
            yield plain.place(position), form.kind


def _held(anchors: Sequence[tuple[bytes, int]], text: bytes) -> list[Form]:
    """The forms of which the text holds an anchor: one loop, since most texts hold none."""
    if not text:
        return []
    numbers = {number for anchor, number in anchors if anchor in text}
    return [FORMS[number] for number in sorted(numbers)]


def _runs(text: bytes) -> tuple[_Runs, _Runs]:
    """The runs with and without a mark; of a long one without (base64) the beginning."""
    marked, plain = _Runs(), _Runs()
    mask = text.translate(_MASK)
    end = 0
    while (start := mask.find(_LONG, end)) >= 0:
        end = mask.find(b" ", start)
        end = end if end >= 0 else len(text)
        run = text[start:end]
        if run.isalnum() or run.translate(None, _MARKS) == run:
            plain.add(run[:_BEGINNING], start)
        else:
            marked.add(run, start)
    return marked, plain


def _varied(value: bytes) -> bool:
    """Not one of the fillers of a manual: it has a digit and many different characters."""
    return len(set(value[-30:])) >= 8 and any(char in b"0123456789" for char in value)


def _chosen(value: bytes) -> bool:
    """Somebody's password rather than the word for one."""
    return not _PLACEHOLDER.search(value)


def _user_and_password(value: bytes) -> bool:
    """base64 of ``user:password`` (RFC 7617)."""
    try:
        return b":" in base64.b64decode(value + b"=" * (-len(value) % 4), validate=True)[1:]
    except (binascii.Error, ValueError):
        return False


def _form(
    kind: str, anchors: str, pattern: bytes, *, where: Where = Where.RUN, folded: bool = False,
    inside: bool = False,
    check: Callable[[bytes], bool] | None = _varied,
) -> Form:  # fmt: skip
    """``anchors`` are parted by spaces."""
    words = tuple(word.encode() for word in anchors.split(" ")) if anchors else ()
    return Form(
        kind=kind, anchors=words, pattern=re.compile(pattern), where=where, folded=folded,
        inside=inside, check=check,
    )  # fmt: skip


_END = rb"(?![A-Za-z0-9])"

FORMS: tuple[Form, ...] = (
    _form(
        "private key", "PRIVATE",
        rb"-----BEGIN (?:[A-Z0-9]+ ){0,3}PRIVATE KEY(?: BLOCK)?-----(?=[\s\"',+\\]{1,80}"
        rb"(?:[A-Z][A-Za-z-]{2,20}: [^\r\n]{1,100}\s{1,6}){0,3}[\s\"',+\\]{0,40}[A-Za-z0-9+/=]{16})",
        where=Where.TEXT, check=None,
    ),
    _form("private key", "PuTTY-User-Key-File", rb"PuTTY-User-Key-File-[23]: \S",
          where=Where.TEXT, check=None),
    _form("private key", "AGE-SECRET-KEY-", rb"AGE-SECRET-KEY-1[0-9A-Z]{58}", check=None),
    _form(
        "AWS key", "AKIA ASIA ABIA ACCA",
        rb"(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}" + _END, check=None, where=Where.PLAIN,
    ),
    _form(
        "GitHub token", "ghp_ gho_ ghu_ ghs_ ghr_", rb"gh[pousr]_[A-Za-z0-9]{36,255}" + _END
    ),
    _form("GitHub token", "github_pat_", rb"github_pat_[A-Za-z0-9_]{22,255}"),
    _form(
        "GitLab token", "glpat- gldt- glrt- glptt- glcbt- gloas- glft- glsoat- glagent- glimt-",
        rb"gl(?:pat|dt|rt|ptt|cbt|oas|ft|soat|agent|imt)-[A-Za-z0-9_=-]{20,}",
    ),
    _form("Slack token", "xox", rb"xox[abeoprs]-(?:[A-Za-z0-9]{1,40}-){0,4}[A-Za-z0-9]{10,}"),
    _form("Slack token", "xapp-", rb"xapp-\d-[A-Z0-9]+-\d+-[a-f0-9]{20,}"),
    _form(
        "Slack webhook", "hooks.slack.com",
        rb"hooks\.slack\.com/(?:services|workflows|triggers)/[A-Za-z0-9+/]{30,}",
    ),
    _form("Google API key", "AIza", rb"AIza[A-Za-z0-9_-]{35}(?![A-Za-z0-9_-])", where=Where.PLAIN),
    _form("Google token", "ya29.", rb"ya29\.[A-Za-z0-9_-]{20,}"),
    _form("Google client secret", "GOCSPX-", rb"GOCSPX-[A-Za-z0-9_-]{20,}"),
    _form("Google refresh token", "1//0", rb"1//0[A-Za-z0-9_-]{30,}", where=Where.PLAIN),
    _form("Anthropic key", "sk-ant-", rb"sk-ant-[A-Za-z0-9_-]{20,}"),
    _form("OpenAI key", "T3BlbkFJ", rb"sk-[A-Za-z0-9_-]{0,120}T3BlbkFJ[A-Za-z0-9_-]{20,}"),
    _form(
        "OpenAI key", "sk-proj- sk-svcacct- sk-admin- sk-None-",
        rb"sk-(?:proj|svcacct|admin|None)-[A-Za-z0-9_-]{20,}",
    ),
    _form("API key (sk-)", "sk-", rb"sk-(?:or-v1-|lf-)?[A-Za-z0-9]{32,}(?![A-Za-z0-9_-])"),
    _form("Hugging Face token", "hf_", rb"hf_[A-Za-z0-9]{30,}" + _END),
    _form("Hugging Face token", "api_org_", rb"api_org_[A-Za-z0-9]{30,}" + _END),
    _form("PyPI token", "pypi-AgE", rb"pypi-AgE[A-Za-z0-9_-]{50,}"),
    _form("npm token", "npm_", rb"npm_[A-Za-z0-9]{36}" + _END),
    _form("Stripe key", "sk_live_ sk_test_ rk_live_ rk_test_",
          rb"[sr]k_(?:live|test)_[A-Za-z0-9]{16,}" + _END),
    _form("Stripe webhook secret", "whsec_", rb"whsec_[A-Za-z0-9+/=]{24,}"),
    _form(
        "JSON web token", "eyJ",
        rb"eyJ(?<![A-Za-z0-9_-]eyJ)[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{6,}\.[A-Za-z0-9_-]{16,}",
    ),
    _form(
        "Azure connection string", "AccountKey= SharedAccessKey= SharedSecret=",
        rb"(?:AccountKey|SharedAccessKey|SharedSecret)=([A-Za-z0-9+/]{40,}={0,2})",
        where=Where.PLAIN,
    ),
    _form(
        "Azure signature", "sig=", rb"[?&;]sig=([A-Za-z0-9%+/]{40,}(?:%3[Dd]|=))", inside=True, where=Where.TEXT
    ),
    _form("Azure client secret", "Q~", rb"[A-Za-z0-9_~.-]{3}\dQ~[A-Za-z0-9_~.-]{31,34}"),
    _form("SendGrid key", "SG.", rb"SG\.[A-Za-z0-9_-]{16,32}\.[A-Za-z0-9_-]{16,64}"),
    _form("Mailgun key", "key-", rb"key-[0-9a-f]{32}" + _END),
    _form("Mailchimp key", "-us", rb"[0-9a-f]{32}-us[0-9]{1,2}" + _END),
    _form("Twilio key", "SK", rb"SK[0-9a-f]{32}" + _END, where=Where.PLAIN),
    _form("Telegram bot token", ":AA", rb"[0-9]{8,10}:AA[A-Za-z0-9_-]{33}" + _END),
    _form(
        "Discord webhook", "/api/webhooks/", rb"/api/webhooks/[0-9]{15,}/[A-Za-z0-9_-]{50,}",
        inside=True,
    ),
    _form("DigitalOcean token", "dop_v1_ doo_v1_ dor_v1_", rb"do[opr]_v1_[a-f0-9]{64}"),
    _form("Databricks token", "dapi", rb"dapi[a-f0-9]{32}" + _END, where=Where.PLAIN),
    _form("Docker Hub token", "dckr_", rb"dckr_(?:pat|oat)_[A-Za-z0-9_-]{20,}"),
    _form("Shopify token", "shp", rb"shp(?:at|ca|pa|ss)_[a-fA-F0-9]{32}" + _END),
    _form("Vault token", "hvs. hvb.", rb"hv[sb]\.[A-Za-z0-9_-]{24,}"),
    _form("Terraform token", ".atlasv1.", rb"[A-Za-z0-9]{14}\.atlasv1\.[A-Za-z0-9_-]{60,}"),
    _form("Grafana token", "glsa_ glc_", rb"(?:glsa|glc)_[A-Za-z0-9+/_]{32,}"),
    _form("Groq key", "gsk_", rb"gsk_[A-Za-z0-9]{40,}" + _END),
    _form("xAI key", "xai-", rb"xai-[A-Za-z0-9]{60,}" + _END),
    _form("Replicate token", "r8_", rb"r8_[A-Za-z0-9]{37,}" + _END),
    _form("Perplexity key", "pplx-", rb"pplx-[A-Za-z0-9]{40,}" + _END),
    _form("Notion token", "ntn_ secret_", rb"(?:ntn_|secret_)[A-Za-z0-9]{43,}" + _END),
    _form("Linear key", "lin_api_", rb"lin_api_[A-Za-z0-9]{32,}"),
    _form("Figma token", "figd_", rb"figd_[A-Za-z0-9_-]{32,}"),
    _form("Atlassian token", "ATATT3 ATBB", rb"(?:ATATT3[A-Za-z0-9_=-]{50,}|ATBB[A-Za-z0-9]{32})", where=Where.PLAIN),
    _form("RubyGems key", "rubygems_", rb"rubygems_[a-f0-9]{48}"),
    _form("Sonar token", "sqp_ squ_ sqa_", rb"sq[pua]_[a-f0-9]{40}" + _END),
    _form("Supabase token", "sbp_", rb"sbp_[a-f0-9]{40}" + _END),
    _form("Pulumi token", "pul-", rb"pul-[a-f0-9]{40}" + _END),
    _form("New Relic key", "NRAK-", rb"NRAK-[A-Z0-9]{27}"),
    _form("Postman key", "PMAK-", rb"PMAK-[a-f0-9]{24}-[a-f0-9]{34}"),
    _form("Tailscale key", "tskey-", rb"tskey-[a-z]+-[A-Za-z0-9]+-[A-Za-z0-9]{20,}"),
    _form("Sentry token", "sntrys_ sntryu_", rb"sntry[su]_[A-Za-z0-9+/=_]{40,}"),
    _form("Dropbox token", "sl.", rb"sl\.(?:u\.)?[A-Za-z0-9_-]{100,}"),
    _form("Facebook token", "EAAC EAAB EAAG", rb"EAA[A-Z][A-Za-z0-9]{80,}", where=Where.PLAIN),
    _form("Square token", "sq0", rb"sq0(?:atp|csp)-[A-Za-z0-9_-]{22,}"),
    _form("Alibaba key", "LTAI", rb"LTAI[A-Za-z0-9]{16,24}" + _END, where=Where.PLAIN),
    _form(
        "password in a URL", "://",
        rb"://[^\s/:@\"'<>`\\]{0,100}"
        rb":([^\s/@\"'<>`\\]{3,200})@[A-Za-z0-9\[]",
        inside=True, where=Where.TEXT, check=_chosen,
    ),
    _form(
        "token in a URL", "token= api_key= apikey= signature= access_key=",
        rb"[?&](?:[a-z]{1,20}[_-]){0,4}(?:token|api_?key|access_key|signature|x-amz-signature)"
        rb"=([a-z0-9%._~+/-]{20,})",
        folded=True, inside=True, where=Where.TEXT,
    ),
    _form(
        "authorization header", "authorization",
        rb"authorization[\"']{0,2}\]?\s{0,4}(?::|=|,)\s{0,4}[f\"']{0,3}(?:bearer|token|bot|apikey)"
        rb"\s+([a-z0-9._~+/-]{16,}=*)",
        folded=True, where=Where.TEXT,
    ),
    _form(
        "authorization header", "basic ",
        rb"authorization[\"']{0,2}\]?\s{0,4}(?::|=|,)\s{0,4}[\"']{0,2}basic\s+([a-z0-9+/]{8,}={0,2})",
        folded=True, where=Where.TEXT, check=_user_and_password,
    ),
    _form(
        "password of a netrc", "machine ",
        rb"machine\s+\S+\s+login\s+\S+\s+password\s+(\S{3,})", where=Where.TEXT, check=_chosen,
    ),
    _form(
        "password of a command", "curl wget",
        rb"(?:curl|wget)\b[^\r\n]{0,300}?\s(?:-u|--user)[ =][\"']?"
        rb"[^\s:\"'$<>{}]{1,80}:([^\s\"']{4,})",
        where=Where.TEXT, check=_chosen,
    ),
    _form(
        "password of a container registry", '"auths"',
        rb"\"auth\"\s*:\s*\"([A-Za-z0-9+/]{8,}={0,2})\"", where=Where.TEXT,
        check=_user_and_password,
    ),
)  # fmt: skip
"""Every form, in no particular order."""

_TEXT, _FOLDED, _RUN, _PLAIN = range(4)
_SEARCHED = {Where.TEXT: (), Where.RUN: (_RUN,), Where.PLAIN: (_RUN, _PLAIN)}


def _anchors() -> tuple[tuple[tuple[bytes, int], ...], ...]:
    """For each kind of text the anchors that are looked for in it, with the form's number."""
    found: tuple[list[tuple[bytes, int]], ...] = ([], [], [], [])
    for number, form in enumerate(FORMS):
        kinds = _SEARCHED[form.where] or (_FOLDED if form.folded else _TEXT,)
        for kind in kinds:
            found[kind].extend((anchor, number) for anchor in form.anchors)
    return tuple(tuple(each) for each in found)


_ANCHORS = _anchors()
