"""A study goes on with the data that it was begun with, and its checkpoints are no other study's."""

import multiprocessing
from pathlib import Path

import pytest
from optuna import copy_study

from pipeline.errors import BadSetting
from pipeline.search.study_identity import DATA, IDENTITY, NAMED, bind_study
from pipeline.search.study_store import StudyStore

ABOUT = {"space": ["model.hidden=8,16"], "settings": ["data=csv"], "device": "a CPU, 1 core"}
TABLE, DIGITS = "data.path=t.csv data=csv", "data=digits"
FIRST = {TABLE: "1" * 64}


def open_store(folder: Path, name: str = "s") -> StudyStore:
    return StudyStore(f"sqlite:///{folder / 'studies.db'}", name, ABOUT)


def test_the_same_data_goes_on_with_the_same_identity(tmp_path: Path) -> None:
    identity = bind_study(open_store(tmp_path), FIRST)
    assert bind_study(open_store(tmp_path), FIRST) == identity
    assert open_store(tmp_path).read_attrs()[DATA] == FIRST


def test_changed_data_is_refused_in_one_line_and_nothing_is_written(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    bind_study(store, FIRST)
    before, rows = store.read_attrs(), len(store.task_queue().trials())
    with pytest.raises(BadSetting) as caught:
        bind_study(open_store(tmp_path), {TABLE: "2" * 64, DIGITS: "3" * 64})
    assert str(caught.value) == (
        "search.study=s was begun with data 111111111111 (data.path=t.csv data=csv), got 222222222222; "
        "start anew with search.study=NAME, or put the data back"
    )
    assert (store.read_attrs(), len(store.task_queue().trials())) == (before, rows)


def test_another_set_may_be_added_and_belongs_to_the_study_from_then_on(tmp_path: Path) -> None:
    """A baseline names one; a later start may leave it out, or find it changed."""
    identity = bind_study(open_store(tmp_path), FIRST)
    assert bind_study(open_store(tmp_path), {**FIRST, DIGITS: "3" * 64}) == identity
    assert bind_study(open_store(tmp_path), FIRST) == identity
    with pytest.raises(
        BadSetting, match=r"was begun with data 333333333333 \(data=digits\), got 444444444444;"
    ):
        bind_study(open_store(tmp_path), {**FIRST, DIGITS: "4" * 64})


def test_a_study_of_0_1_0_goes_on_and_is_bound_from_then_on(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    assert not {DATA, IDENTITY} & store.read_attrs().keys()
    identity = bind_study(store, FIRST)
    assert store.read_attrs()[IDENTITY] == identity
    with pytest.raises(BadSetting):
        bind_study(store, {TABLE: "2" * 64})


def test_no_two_studies_have_one_identity(tmp_path: Path) -> None:
    """Of another name, in another storage, and begun anew under the same name."""
    other = tmp_path / "other"
    other.mkdir()
    identities = [
        bind_study(open_store(tmp_path), FIRST),
        bind_study(open_store(tmp_path, "t"), FIRST),
        bind_study(open_store(other), FIRST),
    ]
    (tmp_path / "studies.db").unlink()
    identities.append(bind_study(open_store(tmp_path), FIRST))
    assert len(set(identities)) == 4


def test_a_copy_under_another_name_is_a_study_of_its_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Optuna's dashboard renames by a copy, too; a copy of the same name in another storage is the study."""
    identity, url = bind_study(open_store(tmp_path), FIRST), f"sqlite:///{tmp_path / 'studies.db'}"
    copy_study(from_study_name="s", from_storage=url, to_storage=url, to_study_name="copy")
    copied = bind_study(open_store(tmp_path, "copy"), FIRST)
    assert capsys.readouterr().err == "study copy is a copy of s, whose MLflow runs stay as they are\n"
    assert copied != identity == bind_study(open_store(tmp_path), FIRST)
    assert bind_study(open_store(tmp_path, "copy"), FIRST) == copied
    (tmp_path / "moved").mkdir()
    moved = f"sqlite:///{tmp_path / 'moved' / 'studies.db'}"
    copy_study(from_study_name="s", from_storage=url, to_storage=moved)
    assert bind_study(open_store(tmp_path / "moved"), FIRST) == identity
    assert capsys.readouterr().err == ""


def test_a_study_that_does_not_say_its_name_yet_goes_on(tmp_path: Path) -> None:
    """As those of earlier releases."""
    store = open_store(tmp_path)
    store.write_attr(IDENTITY, "1a2b3c4d")
    store.write_attr(DATA, FIRST)
    assert bind_study(store, FIRST) == "1a2b3c4d"
    assert store.read_attrs()[NAMED] == "s"


def _bind(folder: Path, results: "multiprocessing.Queue[str]") -> None:
    results.put(bind_study(open_store(folder), FIRST))


def test_two_that_begin_at_once_have_one_identity(tmp_path: Path) -> None:
    open_store(tmp_path)  # its tables
    context = multiprocessing.get_context("spawn")
    results: multiprocessing.Queue[str] = context.Queue()
    processes = [context.Process(target=_bind, args=(tmp_path, results)) for _ in range(3)]
    for process in processes:
        process.start()
    identities = [results.get(timeout=240) for _ in processes]
    for process in processes:
        process.join()
    assert len(set(identities)) == 1
