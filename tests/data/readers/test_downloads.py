"""Files that are fetched: from a server on loopback, never from the internet."""

import hashlib
import http.server
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pipeline.data.readers.downloads import RemoteFile, fetch_file
from pipeline.data.sources import fingerprint, load, mnist
from pipeline.errors import BadData, DataMissing
from pipeline.settings.data import Mnist
from tests.support.places import WHOLE

CONTENT = b"forty-two bytes of no importance whatsoever"
CLOSED = "http://127.0.0.1:9/"  # the discard port: nobody listens


class Served:
    """A folder served on loopback, and how often each file was asked for."""

    def __init__(self, folder: Path) -> None:
        asked = self.asked = []

        class Handler(http.server.SimpleHTTPRequestHandler):
            def __init__(self, *args: object) -> None:
                super().__init__(*args, directory=str(folder))

            def do_GET(self) -> None:
                asked.append(self.path)
                super().do_GET()

            def log_message(self, *_args: object) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.address = f"http://127.0.0.1:{self.server.server_port}/"


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    folder = tmp_path / "served"
    folder.mkdir()
    (folder / "file.bin").write_bytes(CONTENT)
    found = Served(folder)
    yield found
    found.server.shutdown()


def remote(*mirrors: str, sha256: str = hashlib.sha256(CONTENT).hexdigest()) -> RemoteFile:
    return RemoteFile("file.bin", sha256, mirrors, "set")


def test_an_absent_file_is_fetched_once(served: Served, tmp_path: Path) -> None:
    path = fetch_file(remote(served.address), tmp_path)
    assert path == tmp_path / "set" / "file.bin"
    assert path.read_bytes() == CONTENT
    fetch_file(remote(served.address), tmp_path)
    assert served.asked == ["/file.bin"]


def test_the_second_mirror_serves_where_the_first_does_not(served: Served, tmp_path: Path) -> None:
    assert fetch_file(remote(CLOSED, served.address), tmp_path).read_bytes() == CONTENT


def test_what_is_fetched_may_be_read_by_others_and_says_nothing_without_a_terminal(
    served: Served, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = fetch_file(remote(served.address), tmp_path)
    assert path.stat().st_mode & 0o777 == 0o644
    assert capfd.readouterr() == ("", "")


def test_a_server_without_the_file_is_told_from_no_server(served: Served, tmp_path: Path) -> None:
    with pytest.raises(DataMissing, match=r"HTTP 404.*connection failed"):
        fetch_file(remote(served.address + "elsewhere/", CLOSED), tmp_path)


def test_a_file_that_is_there_needs_no_server(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "file.bin").write_bytes(CONTENT)
    assert fetch_file(remote(CLOSED), tmp_path).read_bytes() == CONTENT


def test_wrong_content_from_the_server_is_not_kept(served: Served, tmp_path: Path) -> None:
    with pytest.raises(DataMissing, match="wrong SHA-256"):
        fetch_file(remote(served.address, sha256="0" * 64), tmp_path)
    assert not (tmp_path / "set" / "file.bin").exists()


def test_a_damaged_local_file_is_named_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "set" / "file.bin"
    path.parent.mkdir()
    path.write_bytes(CONTENT[:10])
    with pytest.raises(BadData, match="must have SHA-256") as caught:
        fetch_file(remote(CLOSED), tmp_path)
    assert "delete it and start again" in str(caught.value)
    assert path.exists()


def test_two_at_once_both_get_the_file(served: Served, tmp_path: Path) -> None:
    with ThreadPoolExecutor(2) as pool:
        paths = list(pool.map(lambda _: fetch_file(remote(served.address), tmp_path), range(2)))
    assert [path.read_bytes() for path in paths] == [CONTENT, CONTENT]
    assert [path.name for path in (tmp_path / "set").iterdir()] == ["file.bin"]


def test_offline_one_line_says_what_from_where_to_where(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mnist, "MIRRORS", (CLOSED, CLOSED))
    with pytest.raises(DataMissing) as caught:
        fingerprint(Mnist(**WHOLE), tmp_path)
    text = str(caught.value)
    assert "\n" not in text
    for part in ("mnist/train-images-idx3-ubyte.gz", CLOSED, str(tmp_path), "data=digits"):
        assert part in text


def test_mnist_is_mnist(data_dir: str) -> None:
    loaded = load(Mnist(**WHOLE), Path(data_dir))
    assert loaded.train.features.shape == (60000, 28, 28)
    assert loaded.test is not None
    assert loaded.test.features.shape == (10000, 28, 28)
    assert loaded.train.labels[:5].tolist() == [5, 0, 4, 1, 9]
