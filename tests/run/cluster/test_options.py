"""What a cluster refuses before anything is begun, and what it leaves in the environment."""

import math
import os

import pytest

from widemargin.cluster import Async, Cluster, Int8, RoundRobin, Sync, TopK
from widemargin.run.cluster import private

NAN = math.nan


@pytest.mark.parametrize(
    "options, words",
    [
        ({"workers": 0}, "workers must be a whole number of at least 1, got 0"),
        ({"workers": True}, "workers must be a whole number of at least 1, got True"),
        ({"servers": 1.5}, r"servers must be a whole number of at least 1, got 1\.5"),
        ({"snapshot_every": -1}, "snapshot_every must be a whole number of at least 0, got -1"),
        ({"deadline_s": 0.1}, r"deadline_s .* at least 0\.5, got 0\.1: who is merely slow"),
        ({"deadline_s": math.inf}, r"deadline_s must be finite and at least 0\.5, got inf"),
        ({"give_up_s": "10"}, "give_up_s must be finite and above 0, got '10'. Give seconds"),
        ({"linger_s": NAN}, "linger_s must be finite and above 0, got nan"),
        ({"linger_s": 0}, "linger_s must be finite and above 0, got 0"),
        ({"max_workers": 2.5}, r"max_workers must be a whole number of at least 1, got 2\.5"),
        ({"max_workers": "4"}, "max_workers must be a whole number of at least 1, got '4'"),
        ({"max_workers": 1}, "max_workers must be at least workers=2, got 1"),
        ({"min_workers": 3}, "min_workers must be at most workers=2, got 3"),
        ({"cpus": -1}, "cpus must be finite and at least 0, got -1"),
        ({"cpus": NAN}, "cpus must be finite and at least 0, got nan"),
        ({"resources": None}, "resources=None is no mapping"),
        ({"resources": {"large": -1}}, r"resources\['large'\] must be finite .*, got -1"),
        ({"device": "tpu"}, "device='tpu' is unknown. Choose from: 'cpu', 'cuda'"),
        ({"policy": "sync"}, "policy='sync' is none. Give one of"),
        ({"policy": Sync(-1)}, "backup must be a whole number of at least 0, got -1"),
        ({"policy": Sync(2)}, "backup must be below the number of workers, 2, got 2: nobody"),
        ({"policy": Async(-1)}, "max_staleness must be a whole number of at least 0, got -1"),
        ({"policy": Async(0.5)}, r"max_staleness must be a whole number of at least 0, got 0\.5"),
        ({"compression": "zip"}, "compression='zip' is unknown"),
        ({"compression": TopK("a")}, "share must be above 0 and at most 1, got 'a'"),
        ({"compression": TopK(NAN)}, "share must be above 0 and at most 1, got nan"),
        ({"compression": Int8(True)}, "chunk must be a whole number of at least 1, got True"),
    ],
)
def test_what_a_cluster_refuses(options, words):
    with pytest.raises((TypeError, ValueError), match=words):
        Cluster(**options)


def test_what_it_takes():
    Cluster(policy=Sync(2), max_workers=3)
    Cluster(policy=RoundRobin(), cpus=0.5, resources={"large": 1}, compression=TopK(1))


@pytest.mark.parametrize(
    "epochs, seed, name", [(0, 0, "epochs"), (1.5, 0, "epochs"), (1, -1, "seed")]
)
def test_what_a_start_refuses(epochs, seed, name):
    with pytest.raises(ValueError, match=f"{name} must be a whole number"):
        Cluster().start(None, epochs, seed=seed)


def test_the_token_of_a_ray_of_our_own_ends_with_it(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"):
        monkeypatch.delenv(name, raising=False)
    names = private.set_up_token(None)
    assert len(os.environ["RAY_AUTH_TOKEN"]) == 64 and os.environ["RAY_AUTH_MODE"] == "token"
    private.forget_token(names)
    assert not private.has_token() and "RAY_AUTH_MODE" not in os.environ
    monkeypatch.setenv("RAY_AUTH_TOKEN", "given")
    private.forget_token(private.set_up_token(None))
    assert os.environ["RAY_AUTH_TOKEN"] == "given"
