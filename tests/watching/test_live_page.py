"""The live page in a real browser: a run goes on under its eyes, dies in part, and comes back."""

import time

import pytest
from told import N_BLOCKS, Teller, story

from browser import browser
from widemargin.watching.server import dashboard
from widemargin.watching.sources import newer

LOOK = """
const box = e => { const b = e.getBoundingClientRect(); return [b.width, b.height] }
const all = (css, f) => [...document.querySelectorAll(css)].map(f)
const style = getComputedStyle(document.body)
return {
  wide: document.documentElement.scrollWidth,
  inner: window.innerWidth,
  phase: document.body.dataset.phase,
  title: document.title,
  head: document.querySelector("header").innerText,
  trouble: all("#trouble:not([hidden])", e => e.innerText).join(""),
  parties: Object.fromEntries(all(".party", e => [e.dataset.name, e.dataset.state])),
  rows: all(".party", e => e.innerText.replace(/\\s+/g, " ")),
  past: Object.fromEntries(all(".party", e =>
    [e.dataset.name, [...e.querySelectorAll("rect")].map(r => r.dataset.state)])),
  signs: all("#timeline path", e => e.getAttribute("class")),
  bars: all("#timeline rect[class=bar-one]", box).length,
  charts: all("figure:not([hidden])", e => e.id),
  ticks: all("#timeline text[text-anchor=end]", e => e.textContent),
  loss: all("#loss span", e => e.innerText).concat(all("#loss path", e => e.getAttribute("class"))),
  marks: all("#marks li", e => e.innerText.replace(/\\s+/g, " ")),
  table: all("#recoveries tr", e => e.innerText.replace(/\\s+/g, " ")),
  sizes: all("figure:not([hidden]) svg[role=img]", box),
  letters: all("figure:not([hidden]) svg text", e => box(e)[1]),
  pictures: all("img", e => 1).length,
  paper: style.backgroundColor, ink: style.color,
}
"""


@pytest.fixture(scope="module")
def seen(tmp_path_factory):
    """One browser for all tests: it takes a second to start."""
    with browser(tmp_path_factory.mktemp("profile")) as session:
        yield session


def until(session, question, seconds=15.0):
    """What is on the page once the question is answered with yes."""
    end = time.monotonic() + seconds
    while not question(look := session.run(LOOK)):
        assert time.monotonic() < end, look
        time.sleep(0.05)
    return look


def brightness(colour):
    """Of rgb(r, g, b), 0 … 1."""
    return sum(map(int, colour[4:-1].split(","))) / 765


@pytest.mark.timeout(120)
def test_a_run_goes_on(seen):
    teller = Teller(workers=3, start=time.time() - 11.0)
    teller.begin(name="<img src=x onerror=alert(1)>", epochs=2, n_blocks=N_BLOCKS)
    seen.size(1400, 900)
    with dashboard(newer(lambda n: teller.events[n:])) as page:
        seen.visit(page.url)
        look = until(seen, lambda look: look["ticks"])
        assert look["ticks"][0] == "0" and float(look["ticks"][-1]) == 1.0
    for _ in range(20):
        teller.wait(0.5)
        teller.commit(losses=(1.0 / teller.version if teller.version else 1.0,))
    seen.said(), seen.requests()
    with dashboard(newer(lambda n: teller.events[n:])) as page:
        seen.visit(page.url)
        look = until(seen, lambda look: "worker-2" in look["parties"] and look["bars"])
        assert look["parties"]["coordinator"] == "reigns"
        assert {look["parties"][f"worker-{i}"] for i in range(3)} == {"alive"}
        assert "<img src=x onerror=alert(1)>" in look["head"] and look["pictures"] == 0
        assert "epoch 1 of 2, 50 % of it" in look["head"] and look["title"].startswith("25 %")
        assert look["charts"] == ["timeline", "throughput", "loss", "backup", "late"]
        assert look["table"][0].startswith("nobody died") and look["signs"] == []
        assert look["loss"] == ["Training loss", "line one"]

        teller.tell("evaluated", values={"loss": 0.5})
        look = until(seen, lambda look: look["loss"][0] == "Loss")
        assert look["loss"][1:] == ["of training", "evaluated", "line one", "line good"]

        teller.tell("gone", name="worker-1", why="silent")
        look = until(seen, lambda look: look["parties"]["worker-1"] == "gone")
        assert look["signs"] == ["death"] and "2 of 3" in look["head"]
        assert look["marks"][0] == "0:10 ▼ worker-1 death: silent"
        assert look["table"] == ["worker 1 0 – – –"]

        teller.wait(2.0)
        teller.tell("worker", name="worker-1", life=2)
        teller.commit()
        look = until(seen, lambda look: look["parties"]["worker-1"] == "alive")
        assert look["signs"] == ["death", "back"]
        assert look["past"]["worker-1"] == ["waiting", "alive", "gone", "alive"]
        assert "worker-1 alive 2 lives last: silent" in look["rows"]
        assert look["table"] == ["worker 1 1 2 s 2 s 2 s"]

        teller.tell("failed", reason="it was told to")
        look = until(seen, lambda look: look["phase"] == "failed")
        assert look["trouble"] == "The run failed: it was told to"
        assert seen.said() == []
        assert set(seen.requests()) == {page.url, page.url + "state.json"}
    look = until(seen, lambda look: "page with it" in look["trouble"])
    assert look["phase"] == "failed" and look["parties"]["worker-1"] == "done"


@pytest.mark.timeout(120)
def test_it_fits(seen):
    told = story(start=time.time() - 41.0).events
    with dashboard(newer(lambda n: told[n:])) as page:
        for width, dark in ((1400, False), (360, True)):
            seen.size(width, 900, dark=dark)
            seen.said()
            seen.visit(page.url)
            look = until(seen, lambda look: look["bars"])
            assert look["inner"] == width and look["wide"] <= width
            assert (brightness(look["paper"]) < brightness(look["ink"])) == dark
            assert len(look["sizes"]) == 5 and all(w > 200 and h > 100 for w, h in look["sizes"])
            assert min(look["letters"]) > 9.0
            assert look["signs"].count("death") == look["signs"].count("back") == 7
            assert "slow" in look["past"]["worker-5"] and len(look["rows"]) == 13
            assert seen.said() == []


@pytest.mark.timeout(60)
def test_a_server_that_vanishes_under_a_run(seen):
    teller = Teller(start=time.time())
    teller.begin()
    with dashboard(newer(lambda n: teller.events[n:])) as page:
        seen.visit(page.url)
        until(seen, lambda look: look["parties"])
    look = until(seen, lambda look: "does not answer" in look["trouble"])
    assert look["phase"] == "silent" and look["parties"]["worker-0"] == "alive"
