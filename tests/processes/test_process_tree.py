"""What a process has started."""

import subprocess
import sys

import pytest

from pipeline.processes import process_tree


@pytest.mark.parametrize("has_lists", [True, False])
def test_a_tree_is_a_process_and_all_below_it(has_lists: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if has_lists and not process_tree.has_lists_of_children():
        pytest.skip("this kernel lists no children")
    monkeypatch.setattr(process_tree, "has_lists_of_children", lambda: has_lists)
    program = "import subprocess; subprocess.run(['sh', '-c', 'echo $$; read line'])"
    with subprocess.Popen(
        [sys.executable, "-S", "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        assert [process.pid for process in process_tree.list_tree(parent.pid)] == [parent.pid, child]
        parent.communicate("\n")
    assert process_tree.list_tree(parent.pid) == []
