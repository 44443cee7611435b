"""Training on several processes and machines: what a user of the parameter server imports.

    from widemargin.cluster import Cluster, Sync

See docs/parameter-server.md.
"""

from widemargin.ps.compression import BFloat16, Int8, TopK
from widemargin.ps.policy import Async, RoundRobin, Sync
from widemargin.run.cluster.engine import Cluster
from widemargin.run.cluster.running import Outcome, Run

__all__ = [
    "Async",
    "BFloat16",
    "Cluster",
    "Int8",
    "Outcome",
    "RoundRobin",
    "Run",
    "Sync",
    "TopK",
]
