"""Every form of data on docs/how-to/your-data.md is read by the words that stand there."""

import re
import shlex
import shutil
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipeline.cli.compose import compose
from pipeline.data.preprocess import preprocess
from pipeline.data.report import describe_report
from tests.conftest import CHECKOUT, Run
from tests.support import places

PAGE = (CHECKOUT / "docs" / "how-to" / "your-data.md").read_text()
COMMANDS = [
    shlex.split(line)[3:]
    for block in re.findall(r"```bash\n(.*?)```", PAGE, re.DOTALL)
    for line in block.splitlines()
]
ROWS = 120
HAS_DATASETS = find_spec("datasets") is not None


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("data")
    draw = np.random.default_rng(0)
    large = np.arange(ROWS) % 2 == 1
    people = pd.DataFrame(
        {
            "person": [f"p{row // 4}" for row in range(ROWS)],
            "size": [f"{size:.2f}" for size in draw.normal(10 * large, 1)],
            "zip": draw.integers(10, 30, ROWS),
            "day": pd.date_range("2020-01-01", periods=ROWS).strftime("%Y-%m-%d"),
            "remark": [
                f"a {'great' if each else 'tiny'} thing, number {row}" for row, each in enumerate(large)
            ],
            "kind": np.where(large, "large", "small"),
        }
    )
    people.loc[5, "size"], people.loc[[9, 17], "size"] = "unknown", "-999"
    people.to_csv(root / "people.csv", index=False)
    if HAS_DATASETS:
        from datasets import Dataset

        Dataset.from_pandas(people).save_to_disk(str(root / "people"))
    people.iloc[:30].assign(person="later", zip=31).to_csv(root / "later.csv", index=False)
    people.to_csv(root / "people.tsv.gz", index=False, sep="\t")
    people.to_excel(root / "people.xlsx", index=False)
    people.to_parquet(root / "people.parquet")
    people.to_json(root / "people.jsonl", orient="records", lines=True)
    places.image_folder(root / "pictures", size=(12, 12))
    shutil.make_archive(str(root / "pictures"), "zip", root / "pictures")
    listed = [f"{path.relative_to(root)},{path.parent.name}" for path in root.glob("pictures/*/*")]
    (root / "pictures.csv").write_text("\n".join(["path,label", *listed]))
    places.audio_folder(root / "sounds")
    places.text_folder(root / "texts")
    pixels = draw.integers(0, 255, (ROWS, 3, 8, 8), np.uint8)
    np.savez(root / "samples.npz", x=draw.normal(size=(ROWS, 4)), y=large, images=pixels)
    return root


@pytest.mark.slow
def test_each_form_is_read(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    told = {}
    for command, *words in COMMANDS:
        if command == "preprocess" and (HAS_DATASETS or "data=datasets" not in words):
            data = preprocess(compose([*words, f"cache_dir={tmp_path}"]).settings)
            assert min(map(len, (data.train, data.validation, data.test))) > 0
            assert len(data.classes) == 2
            told[" ".join(words)] = "\n".join(describe_report(data.report))
    assert len(told) == len(COMMANDS) - (1 if HAS_DATASETS else 2)
    first, *_ = told.values()
    assert "-999 far from all other numbers" in first
    assert "1 column taken for free text, whose words are counted (remark)" in first
    assert "where unknown counts as an empty cell" in first
    assert any(
        "where -999 unknown counts" in text or "where unknown -999 counts" in text for text in told.values()
    )


@pytest.mark.slow
def test_a_study_of_balanced_accuracy_says_so(
    folder: Path, tmp_path: Path, fulcrum: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'mlflow.db'}")
    (words,) = [words for words in COMMANDS if words[0] == "sweep"]
    done = fulcrum(*(word.replace("people.csv", str(folder / "people.csv")) for word in words))
    assert done.returncode == 0, done.stderr
    assert "what is maximised is balanced accuracy" in done.stdout
