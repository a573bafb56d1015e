"""Which cluster trains the trials of a sweep, and how many at once (conf/cluster)."""

import re
from dataclasses import dataclass
from enum import StrEnum

from pipeline.errors import BadSetting
from pipeline.settings.rules import require

AUTO, LOCAL = "auto", "local"
"""Addresses: of the cluster that this machine is a node of; a cluster of this machine alone, made for it."""


class ClusterKind(StrEnum):
    """What starts the processes of trials: this machine (none), or a Ray cluster."""

    none = "none"
    ray = "ray"


@dataclass(slots=True)
class Cluster:
    """The cluster that trains.

    `address`: of its head, HOST:PORT, or auto or local; `slots`: trials at once, None: as many as fit on its
    nodes, now and later; `share`: part of a GPU for each slot, 1: whole ones; `insecure`: it may be one that
    lets everybody in.
    """

    kind: ClusterKind
    address: str
    slots: int | None
    share: float
    insecure: bool

    def __post_init__(self) -> None:
        is_place = self.address in (AUTO, LOCAL) or re.fullmatch(r"[^\s/:]+:\d{1,5}", self.address)
        rule = f"{AUTO}, {LOCAL} or HOST:PORT on a node of the cluster (ray:// cannot report epochs)"
        require(bool(is_place), "cluster.address", rule, self.address)
        valid = self.slots is None or 1 <= self.slots <= 100_000
        require(valid, "cluster.slots", ">= 1 and <= 100000, or null", self.slots)
        require(0.01 <= self.share <= 1, "cluster.share", ">= 0.01 and <= 1", self.share)

    def check_absent(self) -> None:
        """Check that nothing is set which only a cluster heeds.

        Raises:
            BadSetting: something is; the sweep would run on this machine, one by one.
        """
        here = "or leave it out: search.workers=N trains N at once on this machine"
        for name, value, idle in (
            ("address", self.address, AUTO),
            ("slots", self.slots, None),
            ("share", self.share, 1),
            ("insecure", self.insecure, False),
        ):
            if value != idle:
                rule = (
                    f"{str(idle).lower()} without a cluster" if idle is not None else "null without a cluster"
                )
                raise BadSetting(f"cluster.{name} must be {rule}, got {value}; add cluster=ray, {here}")
