"""What a text may hold without it being a result: times of the run, addresses, temp names.

Every pattern asks for its context, because the bare thing can be a result: ``2020-03-04``
may be the peak of an epidemic and ``3.2 s`` a half-life, while ``Generated: 2020-03-04``
and ``finished in 3.2 s`` are not. What is taken out is named with both values. When in
doubt a pattern leaves the text alone: a false alarm can be declared away (``ignore`` in
repro.yml), a false pass cannot be seen.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

_DATE = r"\d{4}[-/]\d{2}[-/]\d{2}"
_FRACTION = r"(?:[.,]\d{1,9})?"
# A clock at a full quarter of an hour is as a rule data (a grid of times), not a run.
_CLOCK = rf"(?!\d{{1,2}}:(?:00|15|30|45)(?::00{_FRACTION})?(?!\d))\d{{1,2}}:\d{{2}}(?::\d{{2}}{_FRACTION})?(?: ?[AP]M\b)?"
_ZONE = r"(?: ?(?:Z|UTC|GMT|[A-Z]{3,4}|[+-]\d{2}:?\d{2})\b)?"
_DAY = r"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]*"
_MONTH = r"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]*"
_CALENDAR = (
    rf"(?:\d{{1,2}}\.? +{_MONTH},? +\d{{4}}|{_MONTH} +\d{{1,2}},? +\d{{4}}|{_DATE}"
    rf"|\d{{1,2}}[./]\d{{1,2}}[./]\d{{4}})"
)
_CTIME = (
    rf"{_DAY},? {_MONTH} +\d{{1,2}} \d{{2}}:\d{{2}}:\d{{2}}(?: [AP]M)?(?: [A-Z]{{3,4}})? \d{{4}}"
)
_MOMENT = rf"(?:{_CTIME}|(?:{_DAY},? +)?{_CALENDAR}(?:[T ]|,? +(?:at )?){_CLOCK}{_ZONE})"
# Behind words that make the date one of the run, any clock beside it is one too.
_DATED = rf"(?:{_MOMENT}|(?:{_DAY},? +)?{_CALENDAR}(?:[T ]\d\d:\d\d(?::\d\d{_FRACTION})?{_ZONE})?)"
_UNIT = r"(?:ns|us|µs|μs|ms|s|sec|secs|second|seconds|min|mins|minute|minutes|hr|hrs|hour|hours)"
_SPAN = (
    rf"(?:(?:\d+ ?d(?:ays?)?,? ?)?(?:\d+ ?h ?)?\d+ ?m(?:in)? ?\d+(?:\.\d+)? ?s\b"
    rf"|\d+(?:\.\d+)?(?:[eE]-?\d+)? ?{_UNIT}\b(?: ?\d+(?:\.\d+)? ?{_UNIT}\b)*"
    rf"|\d+:\d{{2}}(?::\d{{2}})?(?:\.\d+)?)"
)
_LEVEL = r"(?:DEBUG|INFO|NOTE|NOTICE|WARN|WARNING|ERROR|CRITICAL|FATAL|TRACE)"
# A sentence starts a line, follows a sign, or the level of a line of a log.
_START = rf"(?:^|[^\w\s]|\b{_LEVEL}(?=[ \t]))[ \t]*"
_WORK = (
    r"(?:steps?|runs?|fit|fitting|training|loading|analysis|computation|calculation|simulation|"
    r"script|jobs?|tasks?|cells?|iterations?|epochs?|program|everything|reading|writing|execution|"
    r"optimi[sz]ation|sampling|plotting|rendering|tests?|build|pipeline|workflow|loop|all)"
)
_TIME_OF_DAY = rf"(?:{_DATE}[T ])?\d\d:\d\d:\d\d{_FRACTION}{_ZONE}"
_TO = r"(?: (?:on|at|from|date|time)\b|[ \t]?[:=]| -)*[ \t]{1,24}"
_BY = r"(?: (?:with|by|using) [^0-9\n]{1,40}[\d.]{0,12})?"


@dataclass(frozen=True)
class Scrubber:
    """Replaces what ``pattern`` finds (its named group, else all) by ``<name>``.

    ``needs`` holds words (lower case) of which a line must have one, to spare the pattern
    on most lines; ``after`` is what the line before must be.
    """

    name: str
    pattern: re.Pattern[str]
    needs: tuple[str, ...]
    after: re.Pattern[str] | None = None


def _rule(name: str, pattern: str, needs: str, *, case: bool = True, after: str = "") -> Scrubber:
    return Scrubber(
        name,
        re.compile(pattern, 0 if case else re.IGNORECASE),
        tuple(needs.split("|")),
        re.compile(after) if after else None,
    )


_ANY = (
    _rule("terminal colours", r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)", "\x1b"),
    _rule("memory addresses", r"(?:\bat |<[^<>\n]{0,80})(?P<x>0x[0-9A-Fa-f]{6,16})\b", "0x"),
    _rule("memory addresses", r"\b(?P<x>0x(?:7[ef]|55|56)[0-9a-f]{10})\b", "0x"),
    # Versions 1, 4, 6 and 7 hold chance or the clock; 3 and 5 are computed from a name.
    _rule(
        "random identifiers",
        r"\b(?P<x>[0-9a-f]{8}-[0-9a-f]{4}-[1467][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12})\b",
        "-",
        case=False,
    ),
    _rule(
        "temporary paths",
        r"(?:/tmp|/var/tmp|/dev/shm|/var/folders/\w\w/\w+/T)/"
        r"(?P<x>tmp[._-]?[A-Za-z0-9_]{4,16}|Rtmp[A-Za-z0-9]{6}|[\w.-]+(?=/))",
        "/tmp/|/var/|/dev/shm/",
    ),
    _rule("process numbers", r"[\[(]pid[ =:]{1,2}(?P<x>\d+)[\])]|ipykernel_(?P<y>\d+)", "pid|ipyk"),
    _rule("process numbers", r"\bprocess id[ =:]{1,3}(?P<x>\d+)\b", "process id", case=False),
    _rule("host name", r"^\W{0,4}hostname[ \t]*[:=][ \t]*(?P<x>\S+)", "hostname", case=False),
    _rule("timings", r"CPU times: (?P<x>user .{1,80}total: .{1,20})$", "cpu times"),
    _rule("timings", rf"^(?:Wall time|CPU time): +(?P<x>{_SPAN})", "time: "),
    _rule("timings", r"(?P<x>\S+ .?s ± \S+ .{0,3}?s) per loop \(mean ± std\. dev\. of", "±"),
    _rule("timings", r"^(?:real|user|sys)[ \t]+(?P<x>\d+m\d+[.,]\d+s)$", "real|user|sys"),
    # R's system.time() prints three bare numbers below their names.
    _rule(
        "timings",
        r"^(?P<x>[ \t]*\d+\.\d{1,3}[ \t]+\d+\.\d{1,3}[ \t]+\d+\.\d{1,3}[ \t]*)$",
        ".",
        after=r"^[ \t]*user[ \t]+system[ \t]+(?:elapsed|verstrichen)[ \t]*$",
    ),
    _rule(
        "progress rates",
        r"(?P<x>\[ ?(?:\d+:)?\d+:\d\d<(?:(?:\d+:)?\d+:\d\d|\?),\s*[\d.?]+ ?[\w/]{2,12}\])",
        "<",
    ),
    _rule(
        "durations",
        rf"{_START}(?:(?:total|overall|the|script|program|job) )?(?:elapsed(?: time)?|"
        rf"wall(?:[ -]?clock)?(?: time)?|cpu time|(?:execution|computation|computing) time|"
        rf"time (?:taken|elapsed))\b(?: \(\w{{1,12}}\))?(?: (?:is|was|of))?[ \t:=]{{1,12}}"
        rf"(?P<x>{_SPAN}|\d+\.\d+(?=[ \t]*$))",
        "elapsed|wall|cpu time|execution time|computation time|computing time|time taken",
        case=False,
    ),
    _rule(
        "durations",
        rf"{_START}(?:(?:total|overall|the|script|program|job) )?(?:run ?time|running time|"
        rf"training time|fitting time|processing time)(?: (?:is|was))?[ \t:=]{{1,12}}"
        rf"(?P<x>\d+(?:\.\d+)? ?(?:ns|us|µs|μs|ms|s|secs?|seconds?)\b)",
        "run time|runtime|running time|training time|fitting time|processing time",
        case=False,
    ),
    _rule(
        "durations",
        rf"(?:{_START}|\b{_WORK} (?:\S+ )?|\b\d+ )(?:successfully )?(?:finished|done|completed|executed|"
        rf"ran|passed|loaded|saved|built|fitted|trained|computed|processed|simulated|rendered)\b"
        rf"(?:, \d+ \w+)*,? in (?P<x>{_SPAN})",
        " in ",
        case=False,
    ),
    _rule("durations", rf"\b{_WORK} (?:\S+ )?took:? (?:about )?(?P<x>{_SPAN})", "took", case=False),
    _rule("durations", rf"^\W{{0,4}}took:? (?P<x>{_SPAN})", "took", case=False),
    _rule(
        "dates of the run",
        rf"\b(?:(?:re)?generated|rendered|compiled|knitted|printed|exported|last run|"
        rf"(?:run|report|analysis) (?:run |made )?(?:date|time|on|at)|(?:created|written|produced|"
        rf"analysed|analyzed|executed|run)(?: by [^0-9\n]{{1,40}}[\d.]{{0,12}})? (?:on|at)){_BY}{_TO}(?P<x>{_DATED})",
        "generated|rendered|compiled|knitted|printed|exported|run|report|analysis|created|written|"
        "produced|analysed|analyzed|executed",
        case=False,
    ),
    _rule(
        "dates of the run",
        rf"\b(?:created|written|saved|built|updated|modified|produced|executed|started|finished|"
        rf"completed|ended|processed|downloaded|run|ran|now|today|time ?stamp|"
        rf"(?:start|end|run|current) (?:date|time)|report|analysis){_BY}{_TO}(?P<x>{_MOMENT})",
        "created|written|saved|built|updated|modified|produced|executed|started|finished|completed|"
        "ended|processed|downloaded|run|ran|now|today|stamp|date|time|report|analysis",
        case=False,
    ),
    _rule(
        "dates of the run",
        rf"\b(?:generated|created|written|started|finished|completed|executed|ended|run|ran) at "
        rf"(?P<x>{_CLOCK})",
        " at ",
        case=False,
    ),
    _rule(
        "dates of the run",
        rf"(?:{_START}|[ \t]{{2,}})(?:date|time|date[ /]?(?:and )?time)[ \t]*[:=][ \t]*"
        rf"(?P<x>{_MOMENT}|{_DAY},? +{_CALENDAR})",
        "date|time",
        case=False,
    ),
    _rule("dates of the run", r"^%%CreationDate: (?P<x>.{1,80})$", "%%creationdate"),
    _rule("dates of the run", r"(?:^|[ \t]{2,})Time:[ \t]{4,}(?P<x>\d\d:\d\d:\d\d)\b", "time:"),
    _rule(
        "dates of the run",
        r"\btime ?stamp[ \t\"':=]{1,4}(?P<x>1[5-9]\d{8}(?:\.\d+|\d{3})?)\b",
        "stamp",
        case=False,
    ),
    _rule(
        "times of log lines",
        rf"^[\[(<]?(?P<x>{_TIME_OF_DAY})[\])>]?"
        rf"(?=[ \t|:,-]*(?:[\[(<]?[\w.]+[\])>]?[ \t|:,-]+)?[\[(<]?{_LEVEL}\b)",
        ":",
    ),
    _rule("times of log lines", rf"^[\[(](?P<x>{_TIME_OF_DAY})[\])](?=[ :]*[A-Za-z])", ":"),
)  # fmt: skip

_LOG = (
    _rule("times of log lines", rf"^(?P<x>{_TIME_OF_DAY})(?=[ \t|:,-]+[\[(<]?[A-Za-z])", ":"),
    _rule("times of log lines", rf"^(?P<x>{_CTIME})(?=[ \t|:,-]+[\[(<]?[A-Za-z])", ":"),
    _rule("durations", rf"\btook[ \t:=]{{1,4}}(?P<x>{_SPAN})", "took", case=False),
    _rule("process numbers", r"\bpid[ =:]{1,3}(?P<x>\d+)\b(?!\.)", "pid", case=False),
)

_ESCAPE = ("\x1b",)
_LONGEST_LINE = 4000
Report = Callable[[str, str], None]


def scrub(line: str, report: Report, *, before: str = "", log: bool = False) -> str:
    """``line`` without what carries no result; ``report(name, text)`` hears each removal.

    ``before`` is the line above. ``log`` adds rules that hold in a log file only. Lines
    over 4000 characters keep everything but terminal colours and redrawn progress.
    """
    if "\r" in line:
        whole = line.rstrip("\r")
        shown = whole.rpartition("\r")[2]
        report("redrawn progress" if shown != whole else "line endings", "")
        line = shown
    lower = line.lower()
    for rule in _ANY + _LOG if log else _ANY:
        if len(line) > _LONGEST_LINE and rule.needs != _ESCAPE:
            continue
        if rule.after is not None and rule.after.match(before) is None:
            continue
        if any(word in lower for word in rule.needs):
            line = rule.pattern.sub(_replacer(rule, report), line)
    return line


def _replacer(rule: Scrubber, report: Report) -> Callable[[re.Match[str]], str]:
    # Colours vanish; everything else leaves a mark, so that one side having a date and the
    # other none still differs.
    mark = "" if rule.needs == _ESCAPE else f"<{rule.name}>"

    def replace(match: re.Match[str]) -> str:
        group = match.lastgroup or 0
        start, end = match.span(group)
        report(rule.name, match.group(group))
        whole, base = match.group(0), match.start()
        return whole[: start - base] + mark + whole[end - base :]

    return replace
