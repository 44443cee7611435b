"""What tests of nets on a real Ray share: where its processes import from, how one is killed."""

import os
import signal
from pathlib import Path


def let_workers_import_from_here(patch):
    """What is to be imported in processes of Ray is known to them."""
    here = Path(__file__).parent
    places = [str(here), str(here.parent), os.environ.get("PYTHONPATH", "")]
    patch.setenv("PYTHONPATH", os.pathsep.join(filter(None, places)))


def kill_worker(role):
    """SIGKILL the process that carries a role of the run under way."""
    import ray
    from ray.util import list_named_actors

    (space,) = {a["namespace"] for a in list_named_actors(all_namespaces=True) if a["name"] == role}
    pid = ray.get(ray.get_actor(role, namespace=space).identity.remote(), timeout=10)["pid"]
    os.kill(pid, signal.SIGKILL)
    return pid
