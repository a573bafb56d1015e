"""How much memory there is, on a machine and in a container."""

import os
from pathlib import Path

import psutil
import pytest

from pipeline.hardware import memory as memory_module
from pipeline.hardware.memory import Memory, count_oom_kills, read_memory, read_resident_bytes

MIB = 1024**2


def write_group(folder: Path, names: tuple[str, str, str], limit: str, usage: int, cache: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / names[0]).write_text(f"{limit}\n")
    (folder / names[1]).write_text(f"{usage}\n")
    (folder / "memory.stat").write_text(f"other 5\n{names[2]} {cache}\n")


V1 = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
V2 = ("memory.max", "memory.current", "inactive_file")


@pytest.mark.parametrize(
    ("line", "root", "names"), [("4:cpu,memory:/a/b", "memory", V1), ("0::/a/b", ".", V2)], ids=["v1", "v2"]
)
def test_a_container_has_what_the_tightest_of_its_groups_allows(
    tmp_path: Path, line: str, root: str, names: tuple[str, str, str]
) -> None:
    own = tmp_path / "own"
    own.write_text(f"9:name=systemd:/\n{line}\n")
    groups = tmp_path / "groups"
    assert read_memory(groups, own).total == psutil.virtual_memory().total  # no limit to be seen
    write_group(groups / root / "a/b", names, "max" if names is V2 else str(2**63), 60 * MIB, 0)
    write_group(groups / root / "a", names, str(100 * MIB), 70 * MIB, 20 * MIB)
    assert read_memory(groups, own) == Memory(100 * MIB, 50 * MIB)


def test_what_the_kernel_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    counters = tmp_path / "vmstat"
    monkeypatch.setattr(memory_module, "VM_COUNTERS", counters)
    assert count_oom_kills() is None
    counters.write_text("nr_free 5\noom_kill 3\n")
    assert count_oom_kills() == 3


def test_a_process_holds_memory_until_it_is_gone() -> None:
    assert read_resident_bytes(os.getpid()) > MIB
    assert read_resident_bytes(2**22 + 5) == 0
