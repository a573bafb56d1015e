"""Where the cluster is, and whether it lets in whom it should: asked before Ray, which takes long to say no.

Ray's own answers are 40 s of lines for a wrong address, and "failed to connect" for a wrong token.
"""

import os
from pathlib import Path

import grpc

from pipeline.errors import BadInput
from pipeline.settings.searching.cluster import AUTO, LOCAL, Cluster

ADDRESS_FILE = "ray/ray_current_cluster"
"""In the folder for temporary files: where `ray start` says what it has started."""
QUESTION = "/ray.rpc.NodeInfoGcsService/GetClusterId"
"""A method of the head that anybody who is let in may call."""
TIMEOUT_SECONDS = 10.0
TOKEN_FILE = "~/.ray/auth_token"
TEMPORARY = Path("/tmp")
"""Ray's own folder for temporary files, whatever TMPDIR says."""
TRUSTED = (0,)
"""Users whose clusters are taken for one's own: root may start one for all."""
START_ONE = "start one with: ray start --head (docs/cluster/ray.md), or leave cluster=ray out"


def check_cluster(cluster: Cluster) -> None:
    """Check that the cluster is there and lets this user in, and nobody else.

    Raises:
        BadInput: see `find_address` and `check_access`.
    """
    if cluster.address != LOCAL:
        check_access(find_address(cluster), cluster.insecure)


def find_address(cluster: Cluster) -> str:
    """Return HOST:PORT of the head.

    Raises:
        BadInput: this machine is no node of a cluster of this user.
    """
    if cluster.address != AUTO:
        return cluster.address
    if variable := os.environ.get("RAY_ADDRESS", ""):
        if "://" in variable:
            raise BadInput(
                f"cluster.address must be HOST:PORT, got RAY_ADDRESS={variable}; run the sweep on a node of "
                "the cluster, or send it there with: ray job submit"
            )
        if variable != AUTO:
            return variable
    folder = Path(os.environ.get("RAY_TMPDIR") or TEMPORARY)
    for path in dict.fromkeys([folder / ADDRESS_FILE, TEMPORARY / ADDRESS_FILE]):
        try:
            address, owner = path.read_text().strip(), path.stat().st_uid
        except OSError:
            continue
        if owner not in (os.getuid(), *TRUSTED):
            raise BadInput(
                f"cluster.address=auto must be a cluster of your own, got that of user {owner} ({path}); "
                "name yours with cluster.address=HOST:PORT"
            )
        return address
    raise BadInput(f"cluster=ray needs a Ray cluster, got none on this machine; {START_ONE}")


def read_token() -> str:
    """Return the token of this user, as Ray finds it; "" where there is none."""
    if token := os.environ.get("RAY_AUTH_TOKEN", "").strip():
        return token
    try:
        return get_token_path().read_text().strip()
    except (OSError, UnicodeDecodeError):
        return ""


def get_token_path() -> Path:
    """Return the file of the token; of a user without a home folder one that is not there."""
    path = Path(os.environ.get("RAY_AUTH_TOKEN_PATH") or TOKEN_FILE)
    try:
        return path.expanduser()
    except RuntimeError:  # the user of a container
        return path


def close_token_file() -> str:
    """Take the token file from other users, who could run programs with it; return what was done, or ""."""
    if os.environ.get("RAY_AUTH_TOKEN", "").strip():
        return ""
    path = get_token_path()
    try:
        mode = path.stat().st_mode & 0o777
        if not mode & 0o077:
            return ""
    except OSError:
        return ""
    try:
        path.chmod(mode & 0o700)
    except OSError:  # a secret that is mounted, or another user's file
        return f"warning: {path} can be read by other users, who can run programs with it; chmod 600 it"
    return f"{path} could be read by other users; it is yours alone now"


def check_access(address: str, is_insecure_allowed: bool) -> bool:
    """Return whether the cluster wants a token, which this user has.

    Raises:
        BadInput: nothing answers; it wants another token; it wants none and that is not allowed.
    """
    answer = _ask(address, "")
    if answer is grpc.StatusCode.OK:
        if is_insecure_allowed:
            return False
        raise BadInput(
            f"cluster.insecure must be true for a cluster that lets everybody run programs, got false and "
            f"{address}, which asks for no token; start it with RAY_AUTH_MODE=token (docs/cluster/ray.md)"
        )
    if answer is not grpc.StatusCode.UNAUTHENTICATED:
        raise BadInput(
            f"cluster.address must be the head of a Ray cluster, got {address}, where none answers "
            f"({answer.name}); {START_ONE}"
        )
    token = read_token()
    if not token or _ask(address, token) is grpc.StatusCode.UNAUTHENTICATED:
        got = "another one" if token else "none"
        raise BadInput(
            f"the cluster at {address} wants its token, got {got} (RAY_AUTH_TOKEN, {get_token_path()}); "
            "copy the token of its head there: ray get-auth-token"
        )
    return True


def has_head(address: str) -> bool:
    """Return whether the head of a cluster answers there, whoever it lets in."""
    return _ask(address, "") in (grpc.StatusCode.OK, grpc.StatusCode.UNAUTHENTICATED)


def _ask(address: str, token: str) -> grpc.StatusCode:
    """Ask the head for the number of its cluster; return what it says to whoever shows this token."""
    about = (("authorization", f"Bearer {token}"),) if token else ()
    options = (("grpc.enable_http_proxy", 0),)
    with grpc.insecure_channel(address, options=options) as channel:
        try:
            channel.unary_unary(QUESTION)(b"", timeout=TIMEOUT_SECONDS, metadata=about)
        except grpc.RpcError as error:
            return error.code()
    return grpc.StatusCode.OK
