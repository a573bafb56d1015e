"""A fresh PostgreSQL of one's own, where its server programs are installed."""

import getpass
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

USER, PASSWORD = "searcher", "pa55-word"


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def find_programs() -> Path | None:
    """Find the folder of the newest PostgreSQL; Debian keeps them away from PATH."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: float(path.parts[4]))
    on_path = shutil.which("initdb")
    return found[-1].parent if found else Path(on_path).parent if on_path else None


@contextmanager
def running_postgres(programs: Path) -> Iterator[str]:
    """Yield the address of a fresh database, its password in it. The server refuses to run as root."""
    user = "postgres" if os.getuid() == 0 else getpass.getuser()
    with tempfile.TemporaryDirectory(prefix="fulcrum-postgres-") as folder:
        secret, port = Path(folder, "password"), free_port()
        secret.write_text(PASSWORD)
        if os.getuid() == 0:
            for path in (Path(folder), secret):
                shutil.chown(path, user)

        def run(name: str, *words: str) -> None:
            command = [str(programs / name), "-D", f"{folder}/data", *words]
            as_user = user if os.getuid() == 0 else None
            done = subprocess.run(
                command, user=as_user, cwd=folder, capture_output=True, text=True, check=False
            )
            assert done.returncode == 0, f"{name}: {done.stdout}{done.stderr}"

        run("initdb", "-U", USER, "-A", "scram-sha-256", f"--pwfile={secret}", "-E", "UTF8", "--no-sync")
        options = f"-p {port} -k {folder} -c listen_addresses=127.0.0.1 -c fsync=off"
        run("pg_ctl", "-w", "-l", f"{folder}/log", "-o", options, "start")
        try:
            yield f"postgresql://{USER}:{PASSWORD}@127.0.0.1:{port}/postgres"
        finally:
            run("pg_ctl", "-w", "-m", "immediate", "stop")
