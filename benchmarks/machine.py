"""What the numbers belong to: device, load, versions."""

import json
import os
import re
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

PACKAGES = ("tensorflow", "keras", "jax", "torch", "numpy", "scikit-learn")
INSTRUCTIONS = ("avx2", "avx512f", "avx512_bf16", "amx_bf16")


def cpu() -> str:
    """The maker's name."""
    lines = _cpuinfo()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "cpu")


def _cpuinfo() -> list[str]:
    try:
        return Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return []


def instructions() -> list[str]:
    """Those that decide how fast a matrix product can be."""
    line = next((line for line in _cpuinfo() if line.startswith("flags")), "")
    return [name for name in INSTRUCTIONS if name in line.split()]


def about() -> dict[str, Any]:
    """Date, device, load averages over 1, 5 and 15 minutes, versions of what is installed."""
    return {
        "date": datetime.now().astimezone().isoformat(timespec="seconds"),
        "device": cpu(),
        "instructions": instructions(),
        "cores": os.cpu_count(),
        "load": [round(load, 2) for load in os.getloadavg()],
        "versions": {name: found for name in PACKAGES if (found := _version(name))},
    }


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def cores() -> list[int]:
    """The cores that this process may use; take the last ones, the first serve interrupts as a rule."""
    return sorted(os.sched_getaffinity(0))


def steal() -> float:
    """Seconds that the hypervisor kept from all cores since boot."""
    try:
        fields = Path("/proc/stat").read_text().splitlines()[0].split()
    except OSError:
        return 0.0
    return int(fields[8]) / os.sysconf("SC_CLK_TCK")


def keep(root: Path, about_it: dict[str, Any], name: str, raw: dict[str, Any], text: str) -> Path:
    """Write `raw` and `text` as `name`.json and .md into `folder(root, about_it)`; that folder."""
    found = folder(root, about_it)
    (found / f"{name}.json").write_text(json.dumps({"about": about_it} | raw, indent=1) + "\n")
    (found / f"{name}.md").write_text(text)
    return found


def folder(root: Path, about_it: dict[str, Any]) -> Path:
    """`root/<date>-<device>`, made."""
    device = re.sub(r"[^a-z0-9]+", "-", about_it["device"].lower()).strip("-")
    found = root / f"{about_it['date'][:10]}-{device}"
    found.mkdir(parents=True, exist_ok=True)
    return found
