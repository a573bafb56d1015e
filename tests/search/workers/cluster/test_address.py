"""Where the cluster is and whom it lets in, asked of a head that a test has made up."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pytest

from pipeline.errors import BadInput
from pipeline.search.workers.cluster import address
from pipeline.search.workers.cluster.address import (
    check_access,
    check_cluster,
    close_token_file,
    find_address,
)
from pipeline.settings.searching.cluster import Cluster, ClusterKind

TOKEN = "t" * 64


def cluster(where: str = "auto") -> Cluster:
    return Cluster(ClusterKind.ray, where, None, 1.0, False)


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RAY_ADDRESS", "RAY_AUTH_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(tmp_path / "token"))
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    monkeypatch.setattr(address, "TEMPORARY", tmp_path)
    monkeypatch.setattr(address, "TIMEOUT_SECONDS", 5.0)


@pytest.fixture
def head() -> Iterator[Callable[[str], str]]:
    """Start a head that wants this token, or none."""
    servers = list[grpc.Server]()

    def start(token: str) -> str:
        def answer(_: bytes, context: Any) -> bytes:
            if token and ("authorization", f"Bearer {token}") not in context.invocation_metadata():
                context.abort(grpc.StatusCode.UNAUTHENTICATED, "InvalidAuthToken")
            return b""

        service, method = address.QUESTION.strip("/").split("/")
        handler = grpc.method_handlers_generic_handler(
            service, {method: grpc.unary_unary_rpc_method_handler(answer)}
        )
        server = grpc.server(ThreadPoolExecutor(1), handlers=[handler])
        servers.append(server)
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        return f"127.0.0.1:{port}"

    yield start
    for server in servers:
        server.stop(None)


def test_the_address_is_what_was_told_or_what_ray_has_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert find_address(cluster("head:6379")) == "head:6379"
    with pytest.raises(BadInput, match="got none on this machine; start one with: ray start --head"):
        find_address(cluster())
    (tmp_path / "ray").mkdir()
    (tmp_path / address.ADDRESS_FILE).write_text("10.0.0.7:6379\n")
    assert find_address(cluster()) == "10.0.0.7:6379"
    monkeypatch.setattr(address.os, "getuid", lambda: 4242)
    monkeypatch.setattr(address, "TRUSTED", ())
    with pytest.raises(BadInput, match=r"must be a cluster of your own, got that of user \d+"):
        find_address(cluster())
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.8:6379")
    assert find_address(cluster()) == "10.0.0.8:6379"
    monkeypatch.setenv("RAY_ADDRESS", "ray://10.0.0.8:10001")
    with pytest.raises(BadInput, match="on a node of the cluster"):
        find_address(cluster())


def test_only_a_cluster_with_a_token_that_this_user_has_is_joined(
    head: Callable[[str], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed, is_open = head(TOKEN), head("")
    with pytest.raises(BadInput, match=r"^cluster\.insecure must be true .* asks for no token"):
        check_access(is_open, is_insecure_allowed=False)
    assert check_access(is_open, is_insecure_allowed=True) is False
    with pytest.raises(BadInput, match="wants its token, got none"):
        check_access(closed, is_insecure_allowed=True)
    (tmp_path / "token").write_text("f" * 64)
    with pytest.raises(BadInput, match="wants its token, got another one"):
        check_access(closed, is_insecure_allowed=False)
    (tmp_path / "token").write_text(TOKEN + "\n")
    assert check_access(closed, is_insecure_allowed=False)
    monkeypatch.setenv("RAY_AUTH_TOKEN", "g" * 64)
    with pytest.raises(BadInput, match="wants its token, got another one"):
        check_access(closed, is_insecure_allowed=False)


def test_a_head_is_there_whoever_it_lets_in(head: Callable[[str], str]) -> None:
    assert address.has_head(head("secret"))
    assert address.has_head(head(""))
    assert not address.has_head("127.0.0.1:1")


def test_nobody_there_is_told_at_once() -> None:
    check_cluster(cluster("local"))
    with pytest.raises(BadInput, match="where none answers"):
        check_cluster(cluster("127.0.0.1:1"))
    with pytest.raises(BadInput, match=r"got 127\.0\.0\.1:1, where none answers \(UNAVAILABLE\)"):
        check_access("127.0.0.1:1", is_insecure_allowed=False)


def test_a_token_that_others_can_read_is_taken_from_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert close_token_file() == ""
    path = tmp_path / "token"
    path.write_text(TOKEN)
    path.chmod(0o644)
    assert close_token_file() == f"{path} could be read by other users; it is yours alone now"
    assert path.stat().st_mode & 0o777 == 0o600
    assert close_token_file() == ""
    path.chmod(0o640)
    monkeypatch.setattr(Path, "chmod", refuse)  # a secret that is mounted
    assert close_token_file() == (
        f"warning: {path} can be read by other users, who can run programs with it; chmod 600 it"
    )


def refuse(*_: object) -> None:
    raise PermissionError(1, "Operation not permitted")


def test_a_user_without_a_home_folder_has_no_token(
    head: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def expanduser(_: Path) -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("RAY_AUTH_TOKEN_PATH")
    monkeypatch.setattr(Path, "expanduser", expanduser)
    assert close_token_file() == ""
    with pytest.raises(BadInput, match=r"got none \(RAY_AUTH_TOKEN, ~/\.ray/auth_token\)"):
        check_access(head(TOKEN), is_insecure_allowed=False)
