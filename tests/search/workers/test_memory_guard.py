"""Who is ended where memory is short: the one that used it up, and nobody else."""

import pytest

from pipeline.hardware.memory import Memory
from pipeline.search.workers import memory_guard
from pipeline.search.workers.memory_guard import GIB, MemoryGuard


@pytest.mark.parametrize(
    ("available", "sizes", "ended"),
    [
        (8 * GIB, {1: 7 * GIB}, []),  # there is enough
        (GIB // 8, {1: 7 * GIB, 2: 6 * GIB}, [1]),
        (GIB // 8, {1: 2 * GIB, 2: 3 * GIB}, []),  # others used it up
    ],
)
def test_the_largest_is_ended_where_it_used_the_memory_up(
    monkeypatch: pytest.MonkeyPatch, available: int, sizes: dict[int, int], ended: list[int]
) -> None:
    monkeypatch.setattr(memory_guard, "read_memory", lambda: Memory(16 * GIB, available))
    monkeypatch.setattr(memory_guard, "read_tree_bytes", sizes.__getitem__)
    told: list[tuple[int, str]] = []
    guard = MemoryGuard(2, lambda: (), lambda pid, reason: told.append((pid, reason)))
    guard.check(list(sizes))
    guard.close()
    assert [pid for pid, _ in told] == ended
    if told:
        assert told[0][1] == "out of memory: its process held 7.0 of 16.0 GiB, 0.12 were left"
