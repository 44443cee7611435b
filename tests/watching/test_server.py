"""The page's server: what it answers, to whom, and that it ends."""

import http.client
import json
import socket
import threading
import time

import pytest
from told import Teller

from widemargin.errors import ClusterError
from widemargin.watching.page import SCRIPT, STYLE, digest
from widemargin.watching.server import dashboard, known_name
from widemargin.watching.sources import newer
from widemargin.watching.state import Facts


@pytest.fixture
def told():
    teller = Teller(workers=2, start=time.time())
    teller.begin(name="<b>a run</b>", epochs=2)
    return teller.events


def ask(port, path="/", method="GET", **headers):
    """(status, headers, body)."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request(method, path, headers=headers)
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()
    finally:
        connection.close()


def soon(question, seconds=10.0):
    """The first answer that is true."""
    until = time.monotonic() + seconds
    while not (answer := question()):
        assert time.monotonic() < until, "it never came"
        time.sleep(0.02)
    return answer


def state_at(port):
    return json.loads(ask(port, "/state.json")[2])


def test_the_page_and_its_numbers(told):
    with dashboard(newer(lambda n: told[n:])) as page:
        assert page.url == f"http://127.0.0.1:{page.port}/"
        status, headers, body = ask(page.port)
        assert status == 200 and headers["Content-Type"] == "text/html; charset=utf-8"
        assert digest(STYLE) in headers["Content-Security-Policy"]
        assert digest(SCRIPT) in headers["Content-Security-Policy"]
        assert f"<script>{SCRIPT}</script>".encode() in body
        assert b"http:" not in body.replace(b"http://www.w3.org/2000/svg", b"")
        state = soon(lambda: (s := state_at(page.port))["begun"] and s)
        assert (state["name"], state["phase"], state["trouble"]) == ("<b>a run</b>", "running", "")
        assert [party["name"] for party in state["parties"]][-2:] == ["worker-0", "worker-1"]
        told.append(told[-1]._replace(kind="failed", what={"reason": "it was too much"}))
        soon(lambda: state_at(page.port)["reason"] == "it was too much")
    with pytest.raises(ConnectionRefusedError):
        ask(page.port)
    assert not [t for t in threading.enumerate() if t.name == "follower"]


def test_nothing_else_is_served(told):
    with dashboard(lambda: ()) as page:
        for path in (
            "/etc/passwd",
            "/../../etc/passwd",
            "/page.js",
            "/%2e%2e/",
            "/state.json/",
        ):
            assert ask(page.port, path)[0] == 404, path
        assert ask(page.port, "/?x=1")[0] == ask(page.port, "/state.json?x=1")[0] == 200
        assert ask(page.port, "/", "HEAD")[::2] == (200, b"")
        for method in ("POST", "PUT", "DELETE", "OPTIONS"):
            assert ask(page.port, "/", method)[0] == 501


def test_other_sites_learn_nothing(told):
    with dashboard(lambda: ()) as page:
        for path in ("/", "/state.json"):
            status, headers, body = ask(page.port, path, Host="evil.example:80")
            assert status == 421 and b"answers to addresses" in body
            _, headers, _ = ask(page.port, path, Origin="http://evil.example")
            assert not [name for name in headers if name.lower().startswith("access-control")]
            assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
            assert headers["X-Frame-Options"] == "DENY" and headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    ("hosts", "known"),
    [
        (["127.0.0.1"], True),
        (["127.0.0.1:8400"], True),
        (["LOCALHOST:9"], True),
        (["localhost.:9"], True),
        (["[::1]:80"], True),
        (["10.1.2.3"], True),
        (["node-7:8400"], True),
        (["evil.example"], False),
        (["localhost.evil.example"], False),
        (["127.0.0.1.evil.example:80"], False),
        (["[::1].evil.example"], False),
        (["[evil]"], False),
        ([""], False),
        ([], False),
        (["127.0.0.1", "evil.example"], False),
    ],
)
def test_names_it_answers_to(hosts, known):
    assert known_name(hosts, {"localhost", "node-7"}) == known


def test_it_listens_on_this_machine_only(told):
    with dashboard(lambda: ()) as page, socket.socket() as probe:
        probe.settimeout(2.0)
        with pytest.raises(OSError):
            probe.connect(("127.0.0.2", page.port))


def test_a_source_that_fails_is_asked_again(told):
    answers = iter([ClusterError("the observer has not answered"), told])

    def source():
        answer = next(answers, ())
        if isinstance(answer, Exception):
            raise answer
        return answer

    with dashboard(source, facts=Facts(name="b")) as page:
        words = soon(lambda: state_at(page.port)["trouble"])
        assert words == "ClusterError: the observer has not answered"
        soon(lambda: state_at(page.port)["phase"] == "running")
        assert state_at(page.port)["trouble"] == ""


def test_a_source_that_hangs_holds_nobody_up(told):
    gate = threading.Event()
    with dashboard(lambda: gate.wait(60) and () or ()) as page:
        assert state_at(page.port)["phase"] == "starting"
        with socket.create_connection(("127.0.0.1", page.port)) as silent:  # says nothing
            assert ask(page.port)[0] == 200
            silent.sendall(b"GET ")
            gate.set()


def test_ports(told):
    with dashboard(lambda: ()) as page:
        with pytest.raises(
            ValueError, match=rf"port={page.port} .* cannot be listened on.*another"
        ):
            with dashboard(lambda: (), port=page.port):
                pass
    with pytest.raises(ValueError, match=r"port=70000 is none\. Give one of 0 … 65535"):
        with dashboard(lambda: (), port=70000):
            pass
    with dashboard(lambda: (), host="localhost") as page:
        assert page.url.startswith("http://localhost:") and ask(page.port)[0] == 200


def test_who_has_ended_is_asked_no_more(told):
    asked = []

    def since(n):
        asked.append(n)
        return told[n:]

    source = newer(since)
    assert len(source()) == len(told) and source() == []
    told.append(told[-1]._replace(kind="done"))
    assert len(source()) == 1 and source() == ()
    assert asked == [0, len(told) - 1, len(told) - 1]
