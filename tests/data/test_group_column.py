"""A column that is no input divides the rows of a split, of tables and of lists of files."""

from pathlib import Path

import numpy as np
import pytest

from pipeline.cli.compose import compose
from pipeline.data.group_column import EMPTY, OTHERS, make_groups, read_groups
from pipeline.data.prepared import RowPlaces, Split
from pipeline.data.samples import make_texts
from pipeline.errors import BadInput


def split_of(places: object) -> Split:
    count = len(places)  # type: ignore[arg-type]
    return Split(np.zeros((count, 1)), np.zeros(count, np.int32), places=RowPlaces(places))  # type: ignore[arg-type]


def test_groups_are_cells_ranges_and_what_is_rare() -> None:
    assert make_groups(["x", "", "x"]).tolist() == ["x", EMPTY, "x"]
    assert make_groups(["1", "2", "1"]).tolist() == ["1", "2", "1"]
    numbers = [str(number) for number in range(40)]
    names = make_groups([*numbers, ""])
    assert sorted(set(names), key=names.tolist().index) == [
        "0 .. 9",
        "10 .. 19",
        "20 .. 29",
        "30 .. 39",
        EMPTY,
    ]
    seconds = [str(1_700_000_000 + number) for number in range(40)]
    assert make_groups(seconds).tolist()[::10] == [
        "1700000000 .. 1700000009",
        "1700000010 .. 1700000019",
        "1700000020 .. 1700000029",
        "1700000030 .. 1700000039",
    ]
    assert make_groups(["", EMPTY, OTHERS]).tolist() == [EMPTY, f"'{EMPTY}'", f"'{OTHERS}'"]
    words = [f"w{number}" for number in range(60)]
    assert make_groups([*words, *words[:50]]).tolist().count(OTHERS) == 10
    assert set(make_groups(["7"] * 30 + numbers)) >= {"0 .. 7"}


def test_a_table_is_asked_by_its_lines(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("x,site,label\n" + "".join(f"{n},s{n % 3},{'ab'[n % 2]}\n" for n in range(30)))
    (tmp_path / "test.csv").write_text("x,site,label\n5,far,a\n6,near,b\n")
    words = ["data=csv", f"data.path={path}", "data.label=label"]
    data = compose(words).settings.data
    split = split_of(np.array([2, 5, 31]))
    assert read_groups(data, "site", split).tolist() == ["s0", "s0", "s2"]
    assert read_groups(data, "1", split).tolist() == ["s0", "s0", "s2"]  # by its place
    own = compose([*words, f"data.test_path={tmp_path / 'test.csv'}"]).settings.data
    assert read_groups(own, "site", split_of(np.array([3, 2]))).tolist() == ["near", "far"]
    with pytest.raises(BadInput, match=r"evaluate\.groups must be a column .*did you mean site"):
        read_groups(data, "sitt", split)
    with pytest.raises(BadInput, match="prepared"):
        read_groups(data, "site", Split(np.zeros((1, 1)), np.zeros(1)))
    with pytest.raises(BadInput, match=r"evaluate\.groups must be null"):
        read_groups(compose([]).settings.data, "site", split)


def test_a_column_of_a_table_is_read_as_one_that_is_an_input(tmp_path: Path) -> None:
    path, rows = tmp_path / "t.csv", 40
    cells = [
        ("NA" if n % 4 == 3 else n, f'"1,{n:03}"', f"2026-01-{n % 30 + 1:02}", "?x"[n != 5], f"{n:05}")
        for n in range(rows)
    ]
    path.write_text(
        "age,pay,day,site,zip,label\n" + "".join(f"{','.join(map(str, row))},a\n" for row in cells)
    )
    data = compose(["data=csv", f"data.path={path}", "data.label=label"]).settings.data
    split = split_of(np.arange(2, rows + 2))
    asked = {name: read_groups(data, name, split).tolist() for name in ("age", "pay", "day", "site", "zip")}
    assert asked["age"][:4] == ["0 .. 9", "0 .. 9", "0 .. 9", EMPTY]
    assert asked["pay"][::10] == ["1000 .. 1009", "1010 .. 1019", "1020 .. 1029", "1030 .. 1039"]
    assert asked["day"][0] == "2026-01-01 .. 2026-01-05"
    assert asked["site"][4:7] == ["x", EMPTY, "x"]
    assert asked["zip"][:2] == ["00000", "00001"]  # codes are no numbers
    own = compose(["data=csv", f"data.path={path}", "data.label=label", "data.missing=[x]"]).settings.data
    assert read_groups(own, "site", split).tolist()[4:6] == [EMPTY, "?"]


def test_a_list_of_files_is_asked_by_their_names(tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_text("path,label,clinic\na/1.png,x,north\na/2.png,y,south\n")
    data = compose(["data=image_folder", f"data.path={path}", "data.size=[4,4]"]).settings.data
    split = split_of(make_texts(["a/2.png", "a/1.png"]))
    assert read_groups(data, "clinic", split).tolist() == ["south", "north"]
    with pytest.raises(BadInput, match="did you mean clinic"):
        read_groups(data, "clinc", split)
