"""How much memory there is, on a machine and in a container."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import psutil
import pytest
from numpy._core._exceptions import _ArrayMemoryError

from pipeline.hardware import memory as memory_module
from pipeline.hardware.memory import Memory, count_oom_kills, is_out_of_memory, read_memory, read_tree_bytes

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
    assert read_tree_bytes(os.getpid()) > MIB
    assert read_tree_bytes(2**22 + 5) == 0


def test_what_a_process_has_started_holds_memory_for_it() -> None:
    alone = read_tree_bytes(os.getpid())
    code = f"held = bytearray(b'x' * {64 * MIB}); print(flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=-1, stdout=-1) as child:
        assert child.stdout
        child.stdout.readline()
        assert read_tree_bytes(os.getpid()) > alone + 60 * MIB
        child.communicate(b"\n")


class OutOfMemoryError(RuntimeError):
    """PyTorch's, of a GPU."""


class Wordless(RuntimeError):
    def __str__(self) -> str:
        raise ValueError


@pytest.mark.parametrize(
    ("error", "is_one"),
    [
        (MemoryError(), True),
        (_ArrayMemoryError((2**40,), np.dtype("int8")), True),
        (OutOfMemoryError("CUDA out of memory"), True),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried"), True),
        (RuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 99 bytes"), True),
        (RuntimeError("bad shapes"), False),
        (ValueError("can't allocate memory"), False),
        (Wordless(), False),
    ],
)
def test_frameworks_say_in_their_own_ways_that_memory_is_short(error: Exception, is_one: bool) -> None:
    assert is_out_of_memory(error) == is_one
