"""What logs of failed runs say about the network: real messages of Python, R, curl, make."""

from __future__ import annotations

import pytest

from repro.workflows.log_trouble import Place, host_of, trouble_in

FILES = {"a.py", "lib/b.py", "get.sh", "Makefile", "src/Makefile"}

URLLIB = """Traceback (most recent call last):
  File "/usr/lib/python3.11/urllib/request.py", line 1348, in do_open
    h.request(req.get_method(), req.selector, req.data, headers,
socket.gaierror: [Errno -3] Temporary failure in name resolution

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "/p/a.py", line 3, in <module>
    data = b.fetch(x)
  File "/p/lib/b.py", line 7, in fetch
    return urlopen(u)
  File "/p/.venv/lib/python3.11/site-packages/x.py", line 1, in y
  File "/usr/lib/python3.11/urllib/request.py", line 216, in urlopen
urllib.error.URLError: <urlopen error [Errno -3] Temporary failure in name resolution>
"""
REQUESTS = """  File "a.py", line 9, in <module>
requests.exceptions.ConnectionError: HTTPSConnectionPool(host='data.org', port=443): Max retries \
exceeded with url: /x (Caused by NameResolutionError("Failed to resolve 'data.org'"))
"""


def look(log: str, notebook: str | None = None):  # type: ignore[no-untyped-def]
    return trouble_in(log, "/p", FILES.__contains__, notebook)


def test_the_deepest_frame_of_the_project() -> None:
    found = look(URLLIB)
    assert found.place == Place(path="lib/b.py", line=7)
    assert found.hosts == ()


def test_requests_names_host_and_port() -> None:
    found = look(REQUESTS)
    assert found.place == Place(path="a.py", line=9)
    assert found.hosts[0] == ("data.org", 443)


@pytest.mark.parametrize(
    ("log", "host", "port"),
    [
        ("curl: (6) Could not resolve host: data.org", "data.org", None),
        ("curl: (7) Failed to connect to 10.0.0.1 port 8765 after 0 ms: Couldn't connect to server",
         "10.0.0.1", 8765),
        ("wget: unable to resolve host address ‘data.org’", "data.org", None),
        ("  cannot open the connection to 'http://data.org:81/d.csv'", "data.org", 81),
        ("  cannot open URL 'https://data.org/d.csv'", "data.org", 443),
        ("fatal: unable to access 'https://h.org/a/': Could not resolve host: h.org", "h.org", 443),
        ("requests.ConnectionError: http://[::1]:80/x refused", "::1", 80),
    ],
)  # fmt: skip
def test_hosts(log: str, host: str, port: int | None) -> None:
    assert look("before\n" + log + "\nafter").hosts == ((host, port),)


def test_other_failures_are_not_about_the_network() -> None:
    assert look("Traceback\n  File \"/p/a.py\", line 3\nKeyError: 'http://data.org'") is None
    assert look("") is None


def test_places_without_a_traceback() -> None:
    refused = "Connection refused\n"
    assert look(refused + "make: *** [Makefile:3: all] Error 7").place == Place(
        path="Makefile", line=3
    )
    assert look(refused + "./get.sh: line 4: x").place == Place(path="get.sh", line=4)
    assert look(refused + "make: *** [gone.mk:3: all] Error 7").place is None


def test_cells() -> None:
    log = "cell 5 failed: URLError: x\n\x1b[0;31mCell\x1b[0m \x1b[0;32mIn[2], line 4\x1b[0m\n"
    assert look(log, "n.ipynb").place == Place(path="n.ipynb", line=4, cell=5)
    assert look("cell 5 failed: URLError: x", "n.ipynb").place == Place(
        path="n.ipynb", line=None, cell=5
    )
    assert look(log).place is None


def test_a_url_means_a_port() -> None:
    assert host_of("https://a.org/b") == ("a.org", 443)
    assert host_of("http://[::1]:8/b") == ("::1", 8)
    assert host_of("s3://bucket/x") is None
