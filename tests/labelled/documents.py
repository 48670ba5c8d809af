"""JSON, JSON lines, GeoJSON, YAML, TOML, XML, HTML and plain text with logs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from labelled.pair import Pair, group, numbers, replaced
from labelled.writers import library

FIT: dict[str, Any] = {
    "model": "linear",
    "coefficients": {"slope": 1.2345678901, "intercept": -0.5},
    "residuals": numbers(40, seed=6),
    "n": 40,
    "converged": True,
    "tags": ["a", "b", "c"],
    "note": None,
}


def fit(**changes: Any) -> dict[str, Any]:
    """The fit with some of its values replaced; None drops one."""
    found = json.loads(json.dumps(FIT))
    for key, value in changes.items():
        if "__" in key:
            outer, inner = key.split("__")
            found[outer][inner] = value
        else:
            found[key] = value
    return dict(found)


def json_pairs() -> Iterator[Pair]:
    base = json.dumps(FIT, indent=2).encode()
    away = {k: v for k, v in FIT.items() if k != "tags"}
    values = FIT["residuals"]
    yield from group(
        "json", "fit.json", base,
        benign={
            "compact": ("format", json.dumps(FIT, separators=(",", ":")).encode()),
            "sorted keys": ("order", json.dumps(FIT, sort_keys=True, indent=2).encode()),
            "an exponent": ("format", replaced(base, b'"n": 40', b'"n": 4e1')),
            "escaped letters": ("format", base.replace(b'"linear"', b'"\\u006cinear"')),
        },
        close={"the last digit": (
            "rounding", json.dumps(fit(coefficients__slope=1.2345678901000002), indent=2).encode())},
        fault={
            "one residual of forty": ("few", json.dumps(fit(residuals=[*values[:-1], values[-1] + 1e-4])).encode()),
            "the sign of the intercept": ("sign", json.dumps(fit(coefficients__intercept=0.5)).encode()),
            "a thousand times the slope": ("factor", json.dumps(fit(coefficients__slope=1234.5678901)).encode()),
            "the last residual dropped": ("rows", json.dumps(fit(residuals=values[:-1])).encode()),
            "residuals in another order": ("order", json.dumps(fit(residuals=values[::-1])).encode()),
            "other residuals": ("random", json.dumps(fit(residuals=numbers(40, seed=9))).encode()),
            "residuals rounded": ("rounded", json.dumps(fit(residuals=[round(v, 2) for v in values])).encode()),
            "n off by one": ("few", json.dumps(fit(n=41)).encode()),
            "not converged": ("value", json.dumps(fit(converged=False)).encode()),
            "another model": ("text", json.dumps(fit(model="linaer")).encode()),
            "a key dropped": ("rows", json.dumps(away).encode()),
            "a key more": ("rows", json.dumps(fit(extra=1)).encode()),
            "null became zero": ("kind", json.dumps(fit(note=0)).encode()),
            "null became text": ("kind", json.dumps(fit(note="None")).encode()),
            "tags in another order": ("order+text", json.dumps(fit(tags=["b", "a", "c"])).encode()),
            "a missing value": ("missing+kind", json.dumps(fit(coefficients__slope=float("nan"))).encode()),
            "cut off": ("cut", base[:-30]),
            "empty": ("cut", b""),
        },
    )  # fmt: skip
    dated = json.dumps({"report": "generated on 2024-05-01 10:21:33", "x": 1.5}).encode()
    yield from group(
        "json (dates)", "fit.json", dated,
        benign={"when it was generated": ("time", dated.replace(b"2024-05-01 10:21:33", b"2025-11-02 19:07:01"))},
        fault={"when, and a number": ("few+time", dated.replace(b"2024-05-01", b"2025-05-01").replace(b"1.5", b"1.6"))},
    )  # fmt: skip
    peak = b'{"peak": "2020-03-04", "cases": 812}'
    yield from group(
        "json (dates as data)", "peak.json", peak,
        fault={"the day of the peak": ("date", peak.replace(b"03-04", b"03-05"))},
    )  # fmt: skip
    ignored = {"ignore": ["^\\$\\.run\\."]}
    run = b'{"run": {"host": "a", "id": 17}, "x": 1.5}'
    yield from group(
        "json (declared)", "r.json", run, options=ignored,
        close={"what is declared to be ignored": ("declared", run.replace(b'"a"', b'"b"').replace(b"17", b"18"))},
        fault={"that and a number": ("few", run.replace(b'"a"', b'"b"').replace(b"1.5", b"1.4"))},
    )  # fmt: skip


def lines_pairs() -> Iterator[Pair]:
    rows = [{"step": n, "loss": abs(v) / 3} for n, v in enumerate(numbers(50, seed=11))]

    def text(items: list[dict[str, Any]], **options: Any) -> bytes:
        return "".join(json.dumps(item, **options) + "\n" for item in items).encode()

    base = text(rows)
    yield from group(
        "jsonl", "loss.jsonl", base,
        benign={"sorted keys": ("order", text(rows, sort_keys=True, separators=(",", ":")))},
        close={"last digits": ("rounding", text([{**r, "loss": r["loss"] * (1 + 4e-16)} for r in rows]))},
        fault={
            "one loss": ("few", text([*rows[:-1], {**rows[-1], "loss": 9.0}])),
            "the last line": ("cut+rows", text(rows[:-1])),
            "two lines swapped": ("order", text([rows[1], rows[0], *rows[2:]])),
            "cut inside a line": ("cut", base[:-5]),
        },
    )  # fmt: skip


def geojson_pairs() -> Iterator[Pair]:
    places = [(8.5417 + n / 7, 47.3769 - n / 9) for n in range(12)]

    def collection(
        points: list[tuple[float, float]], name: str = "Zürich", kind: str = "Point"
    ) -> bytes:
        features = [
            {"type": "Feature", "properties": {"name": f"{name} {n}", "pm10": n * 1.5},
             "geometry": {"type": kind, "coordinates": list(point)}}
            for n, point in enumerate(points)
        ]  # fmt: skip
        return json.dumps(
            {"type": "FeatureCollection", "features": features}, ensure_ascii=False
        ).encode()

    base = collection(places)
    yield from group(
        "geojson", "stations.geojson", base,
        benign={"escaped letters": ("format", json.dumps(json.loads(base)).encode())},
        fault={
            "longitude and latitude swapped": ("order", collection([(b, a) for a, b in places])),
            "a point moved by a metre": ("rounding+few", collection([*places[:-1], (places[-1][0] + 1e-5, places[-1][1])])),
            "a point dropped": ("rows", collection(places[:-1])),
            "a letter of a name": ("text", collection(places, name="Zurich")),
            "another kind of geometry": ("text", collection(places, kind="Sphere")),
            "west for east": ("sign", collection([(-a, b) for a, b in places])),
        },
    )  # fmt: skip


def yaml_pairs() -> Iterator[Pair]:
    yaml = library("yaml")
    base = yaml.safe_dump(FIT).encode()
    yield from group(
        "yaml", "fit.yaml", base,
        benign={
            "flow style": ("format+order+packing", yaml.safe_dump(FIT, default_flow_style=True).encode()),
            "another order of keys": ("order", yaml.safe_dump(FIT, sort_keys=False).encode()),
            "a comment": ("format", b"# made by hand\n" + base),
        },
        fault={
            "a residual": ("few", yaml.safe_dump(fit(residuals=[*FIT["residuals"][:-1], 3.25])).encode()),
            "yes became text": ("kind", replaced(base, b"converged: true", b"converged: 'true'")),
            "a tag": ("text", replaced(base, b"- c\n", b"- d\n")),
            "n off by one": ("few", replaced(base, b"n: 40", b"n: 39")),
            "the sign of the intercept": ("sign", replaced(base, b"intercept: -0.5", b"intercept: 0.5")),
        },
    )  # fmt: skip


def toml_pairs() -> Iterator[Pair]:
    tomli_w = library("tomli_w")
    said = {key: value for key, value in FIT.items() if value is not None}
    base = tomli_w.dumps(said).encode()
    yield from group(
        "toml", "fit.toml", base,
        benign={"a comment": ("format", b"# made by hand\n" + base),
                "an exponent": ("format", replaced(base, b"-0.5", b"-5e-1"))},
        close={"the last digit": ("rounding", replaced(base, b"1.2345678901", b"1.2345678901000002"))},
        fault={
            "slope": ("rounding+few", replaced(base, b"1.2345678901", b"1.2345678991")),
            "a tag": ("text", replaced(base, b'"c"', b'"d"')),
            "false": ("value", replaced(base, b"true", b"false")),
            "n": ("few", replaced(base, b"n = 40", b"n = 14")),
        },
    )  # fmt: skip


def markup_pairs() -> Iterator[Pair]:
    base = (
        b'<?xml version="1.0"?>\n<gpx version="1.1"><wpt lat="46.57608333" lon="8.89241667">'
        b"<ele>2376</ele><name>Lukmanier</name></wpt></gpx>\n"
    )
    yield from group(
        "xml", "route.gpx", base,
        benign={
            "attributes in another order": (
                "order", replaced(base, b'lat="46.57608333" lon="8.89241667"', b'lon="8.89241667" lat="46.57608333"')),
            "other quotes": ("order+format", base.replace(b'"1.1"', b"'1.1'")),
        },
        fault={
            "a digit of a coordinate": ("textnumber+few", replaced(base, b"46.57608333", b"46.57608334")),
            "the height": ("textnumber+few", replaced(base, b"2376", b"2367")),
            "a name": ("text", replaced(base, b"Lukmanier", b"Lukmanjer")),
            "latitude and longitude swapped": (
                "textnumber+few", replaced(base, b'lat="46.57608333" lon="8.89241667"', b'lon="46.57608333" lat="8.89241667"')),
            "an element dropped": ("rows", replaced(base, b"<ele>2376</ele>", b"")),
            "an element renamed": ("rows", base.replace(b"ele>", b"geoidheight>")),
            "cut off": ("cut", base[:-8]),
        },
    )  # fmt: skip
    pandas = library("pandas")
    values = numbers(30, seed=12)
    table = pandas.DataFrame({"site": [f"s{n}" for n in range(30)], "mm": values})
    page = f"<html><head><title>Rain</title></head><body><p>Rendered on 2024-05-01 10:21:33</p>{table.to_html()}</body></html>\n".encode()
    moved = table.assign(mm=[*values[:-1], values[-1] + 1]).to_html()
    yield from group(
        "html", "rain.html", page,
        benign={"when it was rendered": ("time", replaced(page, b"2024-05-01 10:21:33", b"2025-05-02 11:07:59"))},
        fault={
            "a cell": ("textnumber", replaced(page, table.to_html().encode(), moved.encode())),
            "a unit": ("text", replaced(page, b"<th>mm</th>", b"<th>cm</th>")),
            "a row": ("rows", replaced(page, table.to_html().encode(), table.iloc[:-1].to_html().encode())),
            "the title": ("text", replaced(page, b"<title>Rain</title>", b"<title>Rain.</title>")),
        },
    )  # fmt: skip


LOG = b"""2024-05-01 10:21:33,101 INFO reading /tmp/tmpab12cd34/data.csv
2024-05-01 10:21:34,221 INFO 4021 rows, 17 dropped
2024-05-01 10:21:39,771 WARNING object <Model at 0x7f2a4c0d11f0> did not converge
2024-05-01 10:21:40,002 INFO R2 = 0.8731, p = 0.0123
2024-05-01 10:21:40,003 INFO finished in 6.9 s
"""
SUMMARY = b"""OLS summary
Date: Wed, 01 May 2024    R-squared: 0.8731
Time:              10:21:33   F: 51.7
slope      1.2346   0.01
half-life  3.2 s
elapsed time: 6.91 s
done in 7.2 s
"""


def text_pairs() -> Iterator[Pair]:
    later = LOG.replace(b"2024-05-01 10:21", b"2025-01-17 03:59")
    noisy = (
        later.replace(b"tmpab12cd34", b"tmpzz98yx11")
        .replace(b"0x7f2a4c0d11f0", b"0x7f99aa0b1260")
        .replace(b"6.9 s", b"11.4 s")
    )
    yield from group(
        "log", "run.log", LOG,
        benign={
            "another day": ("time", later),
            "another day, address, folder and duration": ("time", noisy),
            "another temporary folder": ("host", LOG.replace(b"tmpab12cd34", b"tmpzz98yx11")),
            "another address": ("host", LOG.replace(b"0x7f2a4c0d11f0", b"0x7f99aa0b1260")),
        },
        fault={
            "a p-value": ("textnumber", LOG.replace(b"0.0123", b"0.0132")),
            "a p-value among all the noise": ("textnumber", noisy.replace(b"0.0123", b"0.0132")),
            "the rows dropped": ("textnumber", noisy.replace(b"17 dropped", b"71 dropped")),
            "a warning for an info": ("text", noisy.replace(b"WARNING", b"INFO")),
            "a line less": ("rows", noisy.replace(noisy.split(b"\n")[2] + b"\n", b"")),
            "another unit": ("text", noisy.replace(b"4021 rows", b"4021 cols")),
            "the end cut off": ("cut", LOG[:-30]),
            "a file of data": ("text", LOG.replace(b"data.csv", b"date.csv")),
        },
    )  # fmt: skip
    yield from group(
        "text", "summary.txt", SUMMARY,
        benign={
            "the date and time of the run": (
                "time", SUMMARY.replace(b"Wed, 01 May 2024", b"Fri, 03 May 2024").replace(b"10:21:33", b"11:07:04")),
            "how long it took": ("time", SUMMARY.replace(b"6.91 s", b"8.02 s").replace(b"7.2 s", b"9.0 s")),
            "line endings": ("endings", SUMMARY.replace(b"\n", b"\r\n")),
            "colours": ("colours", SUMMARY.replace(b"OLS", b"\x1b[1mOLS\x1b[0m")),
        },
        fault={
            "R squared": ("textnumber", SUMMARY.replace(b"0.8731", b"0.8781")),
            "a half-life": ("textnumber", SUMMARY.replace(b"3.2 s", b"3.3 s")),
            "a sign": ("text", SUMMARY.replace(b" 1.2346", b"-1.2346")),
            "the last digit": ("textnumber", SUMMARY.replace(b"1.2346", b"1.2347")),
            "two lines swapped": ("order", b"".join(SUMMARY.splitlines(True)[i] for i in (0, 1, 2, 4, 3, 5, 6))),
            "a line less": ("rows", SUMMARY.replace(b"half-life  3.2 s\n", b"")),
            "a letter": ("text", SUMMARY.replace(b"slope", b"slape")),
            "not UTF-8": ("cut", SUMMARY.replace(b"OLS", b"OL\xff")),
            "empty": ("cut", b""),
        },
    )  # fmt: skip
    bar = b"fit:  10%|#         | 1/10 [00:01<00:09, 1.01it/s]\rfit: 100%|##########| 10/10 [00:10<00:00, 1.00it/s]\nslope 1.5\n"
    yield from group(
        "text (progress)", "out.txt", bar,
        benign={"a bar with other rates": ("progress", bar.replace(b"1.01it/s", b"0.87it/s").replace(b"00:10<", b"00:13<").replace(b"1.00it", b"0.71it"))},
        fault={"the slope": ("textnumber", bar.replace(b"1.5", b"1.6")), "the steps": ("textnumber", bar.replace(b"10/10", b"11/11"))},
    )  # fmt: skip
    yield from group(
        "text (declared)", "summary.txt", SUMMARY, options={"rtol": "1e-2"},
        close={"a number inside what is declared": ("rounding", SUMMARY.replace(b"1.2346", b"1.2350"))},
        fault={"a number outside": ("few+textnumber", SUMMARY.replace(b"1.2346", b"1.2646")),
               "a digit of a name": ("text", SUMMARY.replace(b"slope ", b"slope2"))},
    )  # fmt: skip


def pairs() -> Iterator[Pair]:
    for found in (
        json_pairs,
        lines_pairs,
        geojson_pairs,
        yaml_pairs,
        toml_pairs,
        markup_pairs,
        text_pairs,
    ):
        yield from found()
