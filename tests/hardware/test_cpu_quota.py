"""The quota of CPU time of control groups, as files of either version say it."""

from pathlib import Path

import pytest

from pipeline.hardware.cpu_quota import find_quota, read_throttled_seconds

V2, V1 = "throttled_usec 1500000\n", "nr_periods 5\nthrottled_time 1500000000\n"
GROUPS = {
    "version 2": ("0::/\n", {"": "150000 100000"}, 1.5),
    "version 2, in a group": ("0::/a/b\n", {"a/b": "50000 100000"}, 0.5),
    "version 2, of the group around": ("0::/a/b\n", {"a/b": "max 100000", "a": "50000 100000"}, 0.5),
    "version 2, the tightest": ("0::/a/b\n", {"a/b": "400000 100000", "a": "200000 100000", "": ""}, 2.0),
    "version 2, none": ("0::/a\n", {"a": "max 100000", "": "max 100000"}, None),
    "version 1": ("4:memory:/m\n3:cpu,cpuacct:/a\n0::/\n", {"cpu/a": "50000"}, 0.5),
    "version 1, in a container": ("3:cpu,cpuacct:/docker/0f3\n", {"cpu": "250000"}, 2.5),
    "version 1, none": ("3:cpu,cpuacct:/a\n", {"cpu/a": "-1", "cpu": "-1"}, None),
    "what nobody has seen": ("what\n", {"": "10 x"}, None),
}


@pytest.mark.parametrize("case", GROUPS)
def test_the_tightest_quota_around_a_process_is_found_and_what_it_withholds(
    tmp_path: Path, case: str
) -> None:
    rows, quotas, cores = GROUPS[case]
    (tmp_path / "self").mkdir()
    (tmp_path / "self/cgroup").write_text(rows)
    for group, limit in quotas.items():
        folder = tmp_path / "groups" / group
        folder.mkdir(parents=True, exist_ok=True)
        is_new = not group.startswith("cpu")
        (folder / ("cpu.max" if is_new else "cpu.cfs_quota_us")).write_text(f"{limit}\n")
        (folder / "cpu.cfs_period_us").write_text("100000\n")
        (folder / "cpu.stat").write_text(V2 if is_new else V1)
    quota = find_quota(tmp_path, tmp_path / "groups")
    assert (quota and quota.cores) == cores
    assert read_throttled_seconds(quota.file if quota else None) == (1.5 if cores else 0)


@pytest.mark.parametrize("stat", [None, "", "throttled_usec\n", "throttled_usec x\n"])
def test_a_file_that_cannot_be_read_tells_nothing(tmp_path: Path, stat: str | None) -> None:
    if stat is not None:
        (tmp_path / "cpu.stat").write_text(stat)
    assert read_throttled_seconds(tmp_path / "cpu.stat") == 0.0
    assert find_quota(tmp_path, tmp_path) is None
