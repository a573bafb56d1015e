"""Which files below a folder are samples, of which class and split; what is left out is counted."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

from pipeline.data.readers.folder_files import decode_name, list_folders, name_file, walk_folder
from pipeline.data.readers.split_names import find_split
from pipeline.data.report import Findings
from pipeline.errors import BadData, format_one_line
from pipeline.formatting import format_count

LIST_HINT = "or name each file in a list (data.path=LIST.csv with the columns path and label)"


@dataclass(frozen=True, slots=True)
class LabelledFile:
    """A file, the number of its class, and its name for a person: below what the user named."""

    path: Path
    label: int
    name: str


@dataclass(frozen=True, slots=True)
class FileTree:
    """All files of a data set: by split ("train", and "validation" or "test" where there are any)."""

    splits: Mapping[str, Sequence[LabelledFile]]
    classes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A file that may be a sample. `folders`: names of the folders between the root and it."""

    path: Path
    folders: tuple[str, ...]


def scan_folder(root: Path, suffixes: Sequence[str], findings: Findings) -> FileTree:
    """Find the files below `root` that end in one of `suffixes`, in the order of their names.

    Raises:
        BadData: there are fewer than two classes, one has no files, or splits do not fit together.
    """
    candidates, others = [], Counter[str]()
    for path in walk_folder(root, findings):
        folders = path.relative_to(root).parts[:-1]
        if path.suffix.lower() in suffixes:
            candidates.append(_Candidate(path, folders))
        else:
            kind = path.suffix.lower() or "a name without a suffix"
            others[kind] += 1
            text = f"left out: {format_one_line(kind)} is not read here"
            findings.add("file", text, name_file(path, root))
    if others and not candidates:
        got = ", ".join(f"{format_one_line(kind)} ({count:,})" for kind, count in others.most_common(3))
        raise BadData(
            f"{root} must hold files that are read here ({', '.join(suffixes)}), got only {got}; "
            "convert them, or choose the kind of data that they are with data=..."
        )
    top = _find_top(root, candidates)
    if top:
        candidates = [_Candidate(file.path, file.folders[len(top) :]) for file in candidates]
    by_split = _separate_splits(root.joinpath(*top), candidates, findings)
    _check_empty_folders(root.joinpath(*top), by_split, suffixes)
    return _label_files(root, by_split, suffixes, findings)


def _find_top(root: Path, candidates: list[_Candidate]) -> tuple[str, ...]:
    """Return the folders below the root that only wrap the folders of classes, as archives have them."""
    names: list[str] = []
    while True:
        inside = list_folders(root.joinpath(*names))
        if any(len(file.folders) == len(names) for file in candidates):
            return ()  # the one folder holds samples: it is a class
        if len(inside) != 1:
            return tuple(names) if len(inside) > 1 else ()
        names.append(inside[0].name)


def _is_split_set(names: set[str]) -> bool:
    kinds = {find_split(name) for name in names}
    return "train" in kinds and bool(kinds & {"validation", "test"})


def _separate_splits(
    top: Path, candidates: list[_Candidate], findings: Findings
) -> dict[str, list[_Candidate]]:
    """Sort the files by split; their `folders` then begin with that of the class.

    Splits are folders of classes (train/cat/1.png) or folders in each class (cat/train/1.png).
    """
    if _is_split_set({folder.name for folder in list_folders(top)}):
        _check_one_folder_a_split(top)
        depth = 0
    elif _is_split_set({file.folders[1] for file in candidates if len(file.folders) > 1}) and all(
        len(file.folders) > 1 and find_split(file.folders[1]) for file in candidates
    ):
        depth = 1
    else:
        return {"train": candidates}
    by_split = defaultdict[str, list[_Candidate]](list)
    for file in candidates:
        split = find_split(file.folders[depth]) if len(file.folders) > depth else None
        if split is None:
            findings.add("file", "left out: outside the folders of the splits", name_file(file.path, top))
        else:
            below = file.folders[depth + 1 :]
            if len(below) > 1 and find_split(below[0]) == split:
                below = below[1:]  # train/train/cat/1.png, as some archives have it
            folders = file.folders[:depth] + below
            by_split[split].append(_Candidate(file.path, folders))
    if not by_split["train"]:
        raise BadData(f"the folder of the training split must hold samples, got none in {top}; add some")
    return by_split


def _check_one_folder_a_split(top: Path) -> None:
    names: dict[str, str] = {}
    for folder in list_folders(top):
        split = find_split(folder.name)
        if split and split in names:
            raise BadData(
                f"{top} must hold one folder for the {split} split, got {names[split]} and {folder.name}; "
                "join or rename them"
            )
        if split:
            names[split] = folder.name


def _check_empty_folders(top: Path, by_split: dict[str, list[_Candidate]], suffixes: Sequence[str]) -> None:
    """Raise BadData where a folder of a class holds no sample."""
    filled = {file.path for files in by_split.values() for file in files}
    used = {parent for path in filled for parent in path.parents}
    folders = list_folders(top)
    if len(by_split) > 1 and _is_split_set({folder.name for folder in folders}):
        folders = [each for folder in folders if find_split(folder.name) for each in list_folders(folder)]
    for folder in folders:
        if folder not in used and filled:
            found = sorted({path.suffix for path in folder.rglob("*") if path.is_file()})[:5]
            got = f"got only {', '.join(map(format_one_line, found))}" if found else "got none"
            raise BadData(
                f"every class must have files ({', '.join(suffixes)}), {got} in {folder}; "
                "add some or remove the folder"
            )


def _label_files(
    root: Path, by_split: dict[str, list[_Candidate]], suffixes: Sequence[str], findings: Findings
) -> FileTree:
    named: dict[str, list[tuple[str, Path]]] = {}
    for split, files in by_split.items():
        named[split] = []
        for file in files:
            if not file.folders:
                findings.add("file", "left out: in no folder of a class", name_file(file.path, root))
                continue
            if len(file.folders) > 1:
                text = "in folders within the folder of a class, and of that class"
                findings.add("file", text, name_file(file.path, root))
            named[split].append((decode_name(file.folders[0]), file.path))
    classes = tuple(sorted({name for name, _ in named["train"]}))
    if len(classes) < 2:
        flat = sum(not file.folders for file in by_split["train"])
        got = f"{len(classes)}" + (f" and {format_count(flat, 'file')} outside of any" if flat else "")
        raise BadData(
            f"{root} must hold a folder for each of two classes or more, with {', '.join(suffixes[:4])} ..., "
            f"got {got}; put the files into one folder a class, {LIST_HINT}"
        )
    return make_tree(root, named, classes)


def make_tree(root: Path, named: dict[str, list[tuple[str, Path]]], classes: tuple[str, ...]) -> FileTree:
    """Label files that are named by split, (class, path) each, with the number of their class.

    Raises:
        BadData: a split holds a class that the training split has not.
    """
    numbers = {name: number for number, name in enumerate(classes)}
    splits = {}
    for split, files in named.items():
        if unknown := sorted({name for name, _ in files} - set(classes)):
            raise BadData(
                f"the {split} split of {root} must hold classes that its training split holds, got "
                f"{format_one_line(unknown[0])}; use the same names (train has {', '.join(classes[:5])})"
            )
        ordered = sorted(files, key=lambda file: (numbers[file[0]], PurePath(file[1])))
        if ordered:
            splits[split] = tuple(
                LabelledFile(path, numbers[name], name_file(path, root)) for name, path in ordered
            )
    return FileTree(splits, classes)
