"""Lines of a Python file where the clock, an order or the machine comes in; read, never run."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from repro.model.stability import Spot
from repro.primitives.texts import printable
from repro.project.python_names import Names, calls, keyword

_SEED_ORDER = "sort it: sorted(…)"
_CALLS: tuple[tuple[str, re.Pattern[str], str], ...] = tuple(
    (axis, re.compile(pattern), mend)
    for axis, pattern, mend in (
        ("clock",
         r"(?:datetime\.)?(?:datetime|date)\.(?:now|utcnow|today)|time\.(?:time|time_ns|ctime|asctime"
         r"|localtime|gmtime|strftime|perf_counter\w*|monotonic\w*|process_time\w*)"
         r"|pandas\.Timestamp\.(?:now|today|utcnow)|pandas\.to_datetime\.now"
         r"|arrow\.(?:now|utcnow)|pendulum\.(?:now|today)",
         "take the date from the data, or from SOURCE_DATE_EPOCH; keep times out of results"),
        ("directory-order",
         r"os\.(?:listdir|scandir|walk|fwalk)|glob\.i?glob|(?:.*\.)?(?:iterdir|rglob)"
         r"|(?:.*\(\)|pathlib\.Path|Path)\.glob",
         _SEED_ORDER),
        ("host-name",
         r"socket\.(?:gethostname|getfqdn)|platform\.(?:node|uname|platform)|os\.uname",
         "keep the machine's name out of results"),
        ("user-id",
         r"getpass\.getuser|os\.(?:getlogin|getuid|geteuid|getgid)|pwd\.getpw\w+|os\.path\.expanduser"
         r"|(?:pathlib\.)?Path\.home",
         "keep the user's name and number out of results"),
        ("cpus",
         r"os\.(?:cpu_count|process_cpu_count|sched_getaffinity)|multiprocessing\.cpu_count"
         r"|psutil\.cpu_count|joblib\.cpu_count|loky\.cpu_count",
         "give a fixed number of workers"),
        ("threads",
         r"(?:.*\.)?(?:dot|matmul)|numpy\.(?:inner|vdot|tensordot|einsum|linalg\.\w+|cov|corrcoef|polyfit)"
         r"|scipy\.(?:linalg|sparse\.linalg|optimize)\.\w+|sklearn\.\w+(?:\.\w+)*|torch\.\w+"
         r"|numba\.prange|numexpr\.evaluate|statsmodels\.\w+(?:\.\w+)*"
         r"|threadpoolctl\.\w+|torch\.(?:set|get)_num_threads",
         "hold the number of threads (OMP_NUM_THREADS), or allow a tolerance"),
        ("order",
         r"concurrent\.futures\.(?:as_completed|ThreadPoolExecutor|ProcessPoolExecutor)"
         r"|(?:.*\.)?(?:imap_unordered|apply_async)|multiprocessing\.(?:Pool|Process|Queue)"
         r"|threading\.Thread|asyncio\.(?:as_completed|wait)",
         "collect results in the order of the tasks (map, not as_completed)"),
        ("locale", r"locale\.\w+|(?:.*\.)?strxfrm|(?:.*\.)?strcoll",
         "sort and format without the locale, or set LC_ALL in repro.yml"),
        ("time-zone",
         r"(?:datetime\.)?datetime\.(?:fromtimestamp|now)|(?:.*\.)?astimezone|time\.(?:localtime|mktime"
         r"|ctime|strftime)|(?:.*\.)?fromtimestamp",
         "name the zone (timezone.utc), or set TZ in repro.yml"),
        ("addresses", r"id|object\.__repr__", "give it a name that does not depend on where it lies"),
        ("hash-seed", r"hash", "use hashlib: hash() of a text follows PYTHONHASHSEED"),
        ("process", r"os\.getpid|tempfile\.\w+|threading\.get_ident", "keep it out of results"),
    )
)  # fmt: skip
_SETS = re.compile(r"set|frozenset|(?:.*\.)?(?:union|intersection|difference|symmetric_difference)")
_ORDERED = re.compile(r"sorted|len|set|frozenset|sum|min|max|any|all|collections\.Counter|Counter")
_TAKES_ORDER = re.compile(
    r"list|tuple|enumerate|iter|next|zip|map|filter|reversed|(?:.*\.)?join|numpy\.(?:array|fromiter)"
    r"|(?:.*\.)?(?:DataFrame|Series|writelines|writerows|extend|dumps?)|print|str|repr"
)
_SET_MEND = "sort it: sorted(…); a set's order follows PYTHONHASHSEED"
_ENVIRON = {
    "USER": "user-id", "LOGNAME": "user-id", "HOME": "user-id", "HOSTNAME": "host-name",
    "TZ": "time-zone", "LANG": "locale", "LC_ALL": "locale", "OMP_NUM_THREADS": "threads",
}  # fmt: skip


def variations(tree: ast.Module, path: str) -> Iterator[Spot]:
    """Every line of the parsed file where something of the machine may come in."""
    names = Names(tree)
    settled = _settled(tree, names)
    for node in calls(tree):
        name = names.dotted(node.func)
        for axis, pattern, mend in _CALLS:
            if pattern.fullmatch(name) and not (axis == "directory-order" and id(node) in settled):
                yield _spot(axis, node, path, f"{name}()", mend)
        yield from _environment(node, name, names, path)
        jobs = keyword(node, "n_jobs")
        if isinstance(jobs, ast.UnaryOp) and isinstance(jobs.op, ast.USub):
            yield _spot("cpus", node, path, "n_jobs=-1", "give a fixed number of workers")
    for each in ast.walk(tree):
        if isinstance(each, ast.BinOp) and isinstance(each.op, ast.MatMult):
            mend = "hold the number of threads (OMP_NUM_THREADS), or allow a tolerance"
            yield _spot("threads", each, path, "a product of matrices (@)", mend)
    yield from _set_orders(tree, names, path, settled)


def _spot(axis: str, node: ast.expr, path: str, what: str, mend: str) -> Spot:
    return Spot(axis=axis, path=path, line=node.lineno, text=printable(what, 60), mend=mend)


def _environment(node: ast.Call, name: str, names: Names, path: str) -> Iterator[Spot]:
    if name not in ("os.getenv", "os.environ.get") or not node.args:
        return
    variable = names.text(node.args[0])
    axis = _ENVIRON.get(variable or "")
    if axis is not None:
        yield _spot(axis, node, path, f"{name}({variable!r})", "keep it out of results")


def _settled(tree: ast.Module, names: Names) -> set[int]:
    """Nodes inside a call whose result has no order, or a fixed one: ``sorted(os.listdir())``."""
    found: set[int] = set()
    for node in calls(tree):
        if _ORDERED.fullmatch(names.dotted(node.func)):
            found.update(id(inner) for inner in ast.walk(node) if inner is not node)
    # `x = os.listdir(); x.sort()` is in order too.
    sorted_later = {
        node.func.value.id
        for node in calls(tree)
        if isinstance(node.func, ast.Attribute) and node.func.attr == "sort"
        and isinstance(node.func.value, ast.Name)
    }  # fmt: skip
    for each in ast.walk(tree):
        if isinstance(each, ast.Assign) and any(
            isinstance(target, ast.Name) and target.id in sorted_later for target in each.targets
        ):
            found.update(id(inner) for inner in ast.walk(each.value))
    return found


def _set_orders(tree: ast.Module, names: Names, path: str, settled: set[int]) -> Iterator[Spot]:
    """Where the elements of a set are taken one after the other."""
    known = _set_names(tree, names)

    def is_set(node: ast.expr) -> bool:
        if isinstance(node, ast.Name):
            return node.id in known
        if isinstance(node, ast.BinOp) and isinstance(node.op, (ast.BitOr, ast.BitAnd, ast.Sub)):
            return is_set(node.left) or is_set(node.right)
        return _makes_set(node, names)

    for node in ast.walk(tree):
        for each in _taken(node, names):
            if is_set(each) and id(each) not in settled and id(node) not in settled:
                yield _spot("hash-seed", each, path, "the order of a set", _SET_MEND)


def _taken(node: ast.AST, names: Names) -> list[ast.expr]:
    """What a node takes one by one, or shows in its order."""
    if isinstance(node, (ast.For, ast.AsyncFor)):
        return [node.iter]
    if isinstance(node, (ast.ListComp, ast.GeneratorExp, ast.DictComp)):
        return [each.iter for each in node.generators]
    if isinstance(node, (ast.Starred, ast.FormattedValue)):
        return [node.value]
    if isinstance(node, ast.Call):
        name = names.dotted(node.func)
        if _TAKES_ORDER.fullmatch(name):
            return list(node.args)
        if name.endswith(".pop") and isinstance(node.func, ast.Attribute) and not node.args:
            return [node.func.value]
    return []


def _set_names(tree: ast.Module, names: Names) -> set[str]:
    """Names that stand for a set wherever they are given something."""
    given: dict[str, list[ast.expr]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign):
            for target in node.targets:
                if isinstance(target, ast.Name):
                    given.setdefault(target.id, []).append(node.value)
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value:
            given.setdefault(node.target.id, []).append(node.value)
    return {name for name, values in given.items() if all(_makes_set(v, names) for v in values)}


def _makes_set(node: ast.expr, names: Names) -> bool:
    if isinstance(node, (ast.Set, ast.SetComp)):
        return True
    return isinstance(node, ast.Call) and _SETS.fullmatch(names.dotted(node.func)) is not None
