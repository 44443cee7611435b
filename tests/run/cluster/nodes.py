"""A Ray of three nodes on this machine, and ways to harm it."""

import os
import signal
import time

from widemargin.run.cluster.private import FAST, QUIET

ROOM = 100 << 20


def begin():
    import ray
    from ray.cluster_utils import Cluster

    head = {
        "num_cpus": 3,
        "object_store_memory": ROOM,
        "include_dashboard": False,
        "include_log_monitor": False,
        "no_monitor": True,
        "_system_config": dict(FAST),
    }
    cluster = Cluster(initialize_head=True, head_node_args=head)
    for _ in range(2):
        add(cluster, wait=False)
    cluster.wait_for_nodes()
    ray.init(address=cluster.address, **QUIET)
    return cluster


def add(cluster, wait=True):
    return cluster.add_node(num_cpus=3, object_store_memory=ROOM, wait=wait)


def end(cluster):
    import ray

    ray.shutdown()
    cluster.shutdown()


def actor(run, role):
    import ray

    from widemargin.run.cluster.plan import space

    return ray.get_actor(role, namespace=space(run.name))


def identity(run, role, limit=20.0):
    import ray

    until = time.monotonic() + limit
    while True:
        try:
            return ray.get(actor(run, role).identity.remote(), timeout=1.0)
        except (ray.exceptions.RayError, ValueError):
            assert time.monotonic() < until, f"{role} does not answer"
            time.sleep(0.05)


def life(run, role, limit=20.0):
    """The number of a role's life: 0 while its process has none yet."""
    until = time.monotonic() + limit
    while not (number := identity(run, role)["life"]):
        assert time.monotonic() < until, f"{role} does not begin"
        time.sleep(0.05)
    return number


def kill(run, role, how=signal.SIGKILL):
    """Returns the time of the deed."""
    pid = identity(run, role)["pid"]
    os.kill(pid, how)
    return time.time()


def commits(run):
    return [event for event in run.events() if event.kind == "commit"]


def await_commits(run, n, limit=30.0):
    """Wait for n commits more."""
    goal, until = len(commits(run)) + n, time.monotonic() + limit
    while len(commits(run)) < goal:
        assert time.monotonic() < until, (run.status(), run.known[-5:])
        time.sleep(0.02)


def resumed(run, since, *roles, limit=30.0):
    """Seconds from `since` to the first commit after the death of one of the roles was noticed."""
    until = time.monotonic() + limit
    while True:
        events = [event for event in run.events() if event.time > since]
        signs = [e for e in events if any(noticed(e, role) for role in roles)]
        after = [e for e in events if e.kind == "commit" and signs and e.time > signs[0].time]
        if after:
            return after[0].time - since
        assert time.monotonic() < until, (run.status(), [e for e in events if e.kind != "commit"])
        time.sleep(0.05)


def await_worker(run, name, since, limit=30.0):
    """Wait until the coordinator knows the worker; seconds from `since`."""
    until = time.monotonic() + limit
    while True:
        for event in run.events():
            if event.kind == "worker" and event.what["name"] == name and event.time > since:
                return event.time - since
        assert time.monotonic() < until, run.status()
        time.sleep(0.05)


def noticed(event, role):
    match event.kind:
        case "gone" | "lost":
            return event.what["name"] == role
        case "term":
            return role == "coordinator"
    return False
