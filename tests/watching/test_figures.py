"""What `plan --from` reads of a run."""

import pytest
from told import Teller

from widemargin.errors import InputError
from widemargin.ps.messages import Event
from widemargin.watching.figures import measured
from widemargin.watching.state import Facts


def run_of(policy, pause, gradients=30):
    """Two workers whose gradients take 0.1 and 0.2 s, with a pause after each."""
    teller = Teller(workers=2)
    teller.begin(policy=policy, n_blocks=40)
    events = list(teller.events)
    for k, takes in enumerate((0.1, 0.2)):
        times = [(1000.0 + i * (takes + pause(k, i)), takes) for i in range(gradients)]
        what = {"name": f"worker-{k}", "gradients": times, "bytes": 4000}
        events.append(Event("timings", 1020.0, what))
    return events


def test_times_bytes_and_the_pause_between_gradients():
    events = run_of("Async(max_staleness=None)", lambda k, i: 0.007)
    known = measured("a run", events, Facts())
    assert known.seconds == ((0.1,) * 30, (0.2,) * 30)
    assert known.model_bytes == 4000 and known.n_blocks == 40
    assert known.turnaround == pytest.approx(0.007)
    assert known.latency == pytest.approx(0.001)


def test_where_workers_wait_for_each_other_only_the_last_one_counts():
    events = run_of("Sync(backup=0)", lambda k, i: 0.007 if k else 0.107)
    assert measured("a run", events, Facts()).turnaround == pytest.approx(0.007)


def test_a_run_that_tells_no_times_is_refused():
    events = run_of("Sync(backup=0)", lambda k, i: 0.007, gradients=3)
    with pytest.raises(InputError, match=r"a run: found the times of 6 gradients.*--step-seconds"):
        measured("a run", events, Facts())
