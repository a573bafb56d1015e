"""What an earlier release wrote, kept in one archive without the machine that wrote it.

`python -m tests.support.recorded FOLDER RELEASE` packs a folder; tests/fixtures/README.md says how.
"""

import re
import sqlite3
import sys
import zipfile
from contextlib import closing
from pathlib import Path

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures"
DATABASES = ("mlflow.db", "studies.db")
PICTURES = (".png", ".html", ".svg")
FOLDER, DEVICE = "@FOLDER@", "@DEVICE@"
"""Stand for the folder of the files, which MLflow stores as absolute paths, and the name of the device."""

ANONYMOUS = [
    (r'"host": "[^"]*"', '"host": "recorder"'),
    (r"(VALUES\('host',)'[^']*'", r"\1'recorder'"),
    (r"('mlflow\.user',)'[^']*'", r"\1'recorder'"),
    (r"('mlflow\.source\.name',)'[^']*/__main__\.py'", r"\1'python -m pipeline'"),
    (r"('UNKNOWN','','',)'[^']*'", r"\1'recorder'"),
]


def pack(folder: Path, device: str, archive: Path) -> None:
    """Write `folder` (mlflow.db, studies.db, mlartifacts, cache) into `archive`, pictures left out."""
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_LZMA) as packed:
        for name in DATABASES:
            with closing(sqlite3.connect(folder / name)) as database:
                text = "\n".join(database.iterdump())
            for pattern, replacement in ANONYMOUS:
                text = re.sub(pattern, replacement, text)
            packed.writestr(f"{name}.sql", _without_machine(text, folder, device))
        for path in sorted((folder / "mlartifacts").rglob("*")) + sorted((folder / "cache").rglob("*")):
            if path.is_file() and path.suffix not in PICTURES:
                content = path.read_bytes()
                if b"\0" not in content:
                    content = _without_machine(content.decode(), folder, device).encode()
                packed.writestr(str(path.relative_to(folder)), content)


def unpack(release: str, folder: Path, device: str) -> None:
    """Put what `release` wrote into `folder`, as if it had been written there, on this device."""
    with zipfile.ZipFile(FIXTURES / f"{release}.zip") as packed:
        for name in packed.namelist():
            content = packed.read(name).replace(FOLDER.encode(), str(folder).encode())
            content = content.replace(DEVICE.encode(), device.encode())
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if name.endswith(".sql"):
                with closing(sqlite3.connect(path.with_suffix(""))) as database:
                    database.executescript(content.decode())
            else:
                path.write_bytes(content)


def _without_machine(text: str, folder: Path, device: str) -> str:
    return text.replace(str(folder), FOLDER).replace(device, DEVICE)


if __name__ == "__main__":
    from pipeline.hardware.device import claim_device
    from tests.support import tiny

    source, version = Path(sys.argv[1]).resolve(), sys.argv[2]
    pack(source, claim_device(tiny.BASE.device).name, FIXTURES / f"{version}.zip")
