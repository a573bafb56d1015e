"""What is opened for a block is ended once, as the block was."""

import pytest

from pipeline.errors import Stopped
from pipeline.tracking.runs.run_block import open_during
from tests.support.signalled import stop_at_each_line


def test_a_signal_at_any_line_ends_what_was_opened_and_nothing_else() -> None:
    opened, ended = list[str](), list[tuple[str, str]]()

    def begin() -> str:
        opened.append("run")
        return "run"

    def end(run: str, status: str) -> None:
        ended.append((run, status))

    def record() -> None:
        with open_during(begin, end) as run:
            assert run == "run"

    seen = set[tuple[int, str]]()
    for place, error in stop_at_each_line(record, "/run_block.py", "/test_run_block.py"):
        assert isinstance(error, Stopped), place
        assert [run for run, _ in ended] == opened, place
        seen.add((len(opened), ended[0][1] if ended else ""))
        opened.clear()
        ended.clear()
    assert seen == {(0, ""), (1, "KILLED"), (1, "FINISHED")}
    assert (opened, ended) == (["run"], [("run", "FINISHED")])


@pytest.mark.parametrize(("raised", "status"), [(KeyError, "FAILED"), (KeyboardInterrupt, "KILLED")])
def test_the_end_is_that_of_the_block(raised: type[BaseException], status: str) -> None:
    ended = list[str]()
    with pytest.raises(raised), open_during(object, lambda _, how: ended.append(how)):
        raise raised
    assert ended == [status]


def test_what_cannot_be_opened_is_not_ended() -> None:
    def begin() -> str:
        raise KeyError

    with pytest.raises(KeyError), open_during(begin, lambda _opened, _how: pytest.fail("never opened")):
        pytest.fail("never opened")
