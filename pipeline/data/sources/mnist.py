"""MNIST (LeCun, Cortes, Burges 1998): 60,000 + 10,000 images, 28x28 bytes, official test split."""

from pathlib import Path

from pipeline.data.readers.downloads import RemoteFile, fetch_file
from pipeline.data.readers.loaded import LoadedData, hash_files
from pipeline.data.readers.scratch import ScratchSpace
from pipeline.data.sources import idx
from pipeline.settings.data import Mnist

MIRRORS = (
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
)
FILES = {
    "train-images-idx3-ubyte.gz": "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
    "train-labels-idx1-ubyte.gz": "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
    "t10k-images-idx3-ubyte.gz": "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
    "t10k-labels-idx1-ubyte.gz": "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
}


def fingerprint(_data: Mnist, data_dir: Path) -> str:
    """Return one SHA-256 (hex) over the four files; download them first where they are absent."""
    return hash_files(_fetch_files(data_dir))


def load(_data: Mnist, data_dir: Path, _scratch: ScratchSpace) -> LoadedData:
    """Read images as uint8 [60000, 28, 28] for training and [10000, 28, 28] for the test."""
    return idx.read_data_set(*_fetch_files(data_dir))


def _fetch_files(data_dir: Path) -> list[Path]:
    return [
        fetch_file(RemoteFile(name, sha256, MIRRORS, "mnist"), data_dir) for name, sha256 in FILES.items()
    ]
