"""The actors of a run: where they are placed, how they begin and end.

The coordinator and the observer are on the head's node, without which there is no Ray. Members of a
group with replicas are in a placement group that keeps them on different nodes, strictly if there
are enough. All else prefers a node, one after the other, and moves when that dies.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any

from widemargin.ps.messages import COORDINATOR, OBSERVER
from widemargin.ps.partition import partner
from widemargin.ps.settings import partitions
from widemargin.run.cluster import plan as plans
from widemargin.run.cluster.plan import Plan, space

CPU = 0.001  # what a bundle asks for: a placement group must ask for something


def nodes() -> list[str]:
    """The ids of the nodes that are alive, the head's first."""
    import ray

    alive = [node for node in ray.nodes() if node["Alive"]]
    alive.sort(key=lambda node: ("node:__internal_head__" not in node["Resources"], node["NodeID"]))
    return [node["NodeID"] for node in alive]


def near(node: str) -> dict[str, Any]:
    """On this node, or, when it is dead, on any."""
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    return {"scheduling_strategy": NodeAffinitySchedulingStrategy(node, soft=True)}


def enlist(plan: Plan, role: str, **options: Any) -> Any:
    """The actor of a role; Ray begins it again whenever it dies."""
    import ray

    from widemargin.run.cluster.host import Host
    from widemargin.run.cluster.observer import Observer

    logging.getLogger("ray.actor").setLevel(logging.ERROR)  # it warns of what we mean to do
    watching = role == OBSERVER
    actor = ray.remote(Observer if watching else Host)
    options = {
        "name": role,
        "namespace": space(plan.name),
        "lifetime": "detached",
        "get_if_exists": True,
        "max_restarts": -1,
        "max_task_retries": 0,
        "num_cpus": 0,
        **options,
    }
    return actor.options(**options).remote(*((plan.name,) if watching else (plan.name, role)))


def begin(plan: Plan) -> None:
    """All actors of the run."""
    there = nodes()
    for role in (OBSERVER, COORDINATOR):
        enlist(plan, role, **near(there[0]))
    bundles = []
    for g, members in enumerate(plan.settings.groups):
        if len(members) > 1:
            bundles.append(begin_apart(plan, members, len(there)))
        else:
            enlist(plan, members[0], **near(there[(g + 1) % len(there)]))
    plans.put(plan.name, "bundles", bundles)
    plans.put(plan.name, "nodes", set(there))
    man(plan, plan.workers[0])


def begin_apart(plan: Plan, members: Iterable[str], n_nodes: int) -> Any:
    """Replicas, no two on one node where there are enough nodes."""
    from ray.util.placement_group import placement_group
    from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

    names = list(members)
    strategy = "STRICT_SPREAD" if n_nodes >= len(names) else "SPREAD"
    group = placement_group([{"CPU": CPU}] * len(names), strategy=strategy, lifetime="detached")
    for r, name in enumerate(names):
        place = PlacementGroupSchedulingStrategy(group, placement_group_bundle_index=r)
        enlist(plan, name, scheduling_strategy=place)
    return group


def man(plan: Plan, wanted: int) -> None:
    """Have workers 0 … wanted − 1, no others."""
    there, needs = nodes(), plan.needs
    have = set(roles(plan.name))
    asked = {"num_cpus": needs.cpus, "num_gpus": needs.gpus, "resources": needs.resources}
    for i in range(wanted):
        if plan.settings.owner:
            begin_together(plan, f"worker-{i}", asked, have)
        elif f"worker-{i}" not in have:
            enlist(plan, f"worker-{i}", **asked, **near(there[i % len(there)]))
    for role in have:
        if role.startswith("worker-") and int(role.split("-")[1].split("/")[0]) >= wanted:
            end(plan.name, role)
            release(plan.name, role)


def begin_together(plan: Plan, worker: str, asked: dict[str, Any], have: set[str]) -> None:
    """The processes of a worker: all have room or none begins, on as few nodes as can be."""
    from ray.util.placement_group import placement_group
    from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

    names = [partner(worker, k) for k in range(partitions(plan.settings))]
    if set(names) <= have:
        return
    group = plans.get(plan.name, f"gang/{worker}")
    if group is None:
        room = {"CPU": max(CPU, asked["num_cpus"]), "GPU": asked["num_gpus"], **asked["resources"]}
        bundle = {kind: amount for kind, amount in room.items() if amount}
        group = placement_group([bundle] * len(names), strategy="PACK", lifetime="detached")
        plans.put(plan.name, f"gang/{worker}", group)
    for k, name in enumerate(names):
        place = PlacementGroupSchedulingStrategy(group, placement_group_bundle_index=k)
        enlist(plan, name, **asked, scheduling_strategy=place)


def release(name: str, role: str) -> None:
    """Let go of the room of a worker of several processes."""
    from ray.util.placement_group import remove_placement_group

    group = plans.get(name, f"gang/{role}")
    if group is not None:
        plans.put(name, f"gang/{role}", None)
        remove_placement_group(group)


def roles(name: str) -> list[str]:
    """The roles that have an actor, dead ones that begin again included."""
    from ray.util import list_named_actors

    found = list_named_actors(all_namespaces=True)
    return [actor["name"] for actor in found if actor["namespace"] == space(name)]


def runs() -> list[str]:
    """The names of the runs on this Ray."""
    from ray.util import list_named_actors

    found = {actor["namespace"] for actor in list_named_actors(all_namespaces=True)}
    start = space("")
    return sorted(place[len(start) :] for place in found if place.startswith(start))


def dissolve(name: str) -> None:
    """End all actors, the observer last: it may be who calls."""
    from ray.util.placement_group import remove_placement_group

    bundles = plans.get(name, "bundles") or []
    there = roles(name)
    gangs = [plans.get(name, f"gang/{role}") for role in there]
    bundles += [gang for gang in gangs if gang is not None]
    plans.forget(name)
    for role in there:
        if role != OBSERVER:
            end(name, role)
    for group in bundles:
        remove_placement_group(group)
    end(name, OBSERVER)


def end(name: str, role: str) -> None:
    import ray

    try:
        ray.kill(ray.get_actor(role, namespace=space(name)))
    except ValueError:  # it has ended already
        pass
