"""The pages and files of docs/cluster: words that compose, scripts that run, files that say."""

import os
import re
import shlex
import signal
import stat
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import psycopg
import pytest
import requests
import yaml
from sqlalchemy import make_url

from pipeline.cli.compose import compose
from tests.conftest import CHECKOUT
from tests.support.postgres import find_programs, free_port, running_postgres

DOCS = CHECKOUT / "docs" / "cluster"
TRAINS = re.compile(r"python -m pipeline (?:sweep|run) ([^\n`]+)")
PAGES = sorted([*DOCS.glob("*.md"), *DOCS.glob("*.yaml"), *DOCS.glob("*.sbatch")])


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.name))
def test_the_words_of_each_training_on_a_page_are_words(page: Path) -> None:
    for found in TRAINS.findall(page.read_text()):
        words = found.rstrip('"') if found.count('"') % 2 else found  # the whole command stood in quotes
        told = [word for word in shlex.split(words) if word not in ("$@", "...")]
        compose([word.replace("$address", "head:20001") for word in told])


# ---- SLURM -------------------------------------------------------------------------------------------------

FAKES = {
    "scontrol": 'printf "gpu-a\\ngpu-b\\n"',
    "srun": 'until [[ $1 = r* ]]; do told="$told $1"; shift; done; SRUN_TOLD="$told" exec "$@"',
    "ray": 'echo "ray $*"; env | grep -e ^RAY_ -e ^SRUN_ | sort; '
    'until [ "$1" = -- ]; do shift; done; shift; "$@"',
    "python": 'printf "%s\\n" python "$@"',
}


@pytest.fixture
def allocation(tmp_path: Path) -> dict[str, str]:
    """An environment as in an allocation, whose programs say what they were told."""
    programs = tmp_path / "venv" / "bin"
    programs.mkdir(parents=True)
    for name, body in FAKES.items():
        path = programs / name
        path.write_text(f"#!/bin/bash\n{body}\n")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
    (programs / "activate").write_text(f'PATH="{programs}:$PATH"\n')
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("RAY_", "SLURM_"))}
    return clean | {
        "FULCRUM_VENV": str(tmp_path / "venv"),
        "SLURM_JOB_ID": "70123",
        "SLURM_JOB_NODELIST": "gpu-[a-b]",
        "SLURM_JOB_NUM_NODES": "2",
        "SLURM_CPUS_PER_TASK": "32",
        "SLURM_GPUS_ON_NODE": "4",
    }


def test_the_batch_file_starts_a_closed_cluster_and_the_sweep_in_it(allocation: dict[str, str]) -> None:
    script = DOCS / "fulcrum.sbatch"
    assert subprocess.run(["bash", "-n", script], check=False).returncode == 0

    def submit() -> list[str]:
        command = ["bash", script, "data=mnist", "device=gpu", "search.space=[model.hidden=4,8]"]
        done = subprocess.run(
            command, env=allocation, capture_output=True, text=True, check=False, timeout=60
        )
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout.splitlines()

    started, *environment = submit()
    address = f"gpu-a:{20000 + 70123 % 20000}"
    for option in (f"--address {address}", "--min-nodes 2", "--num-cpus 32", "--num-gpus 4"):
        assert f" {option} " in started
    assert started.startswith("ray symmetric-run")
    (token,) = [line for line in environment if line.startswith("RAY_AUTH_TOKEN=")]
    assert re.fullmatch("RAY_AUTH_TOKEN=[0-9a-f]{64}", token)
    assert token not in submit(), "each allocation has a token of its own"
    assert {"RAY_AUTH_MODE=token", "RAY_USAGE_STATS_ENABLED=0", "RAY_worker_niceness=0"} < {*environment}
    assert "RAY_TMPDIR=/tmp/fulcrum-70123" in environment
    # Since SLURM 22.05 a step has one core a task, whatever sbatch was told, and ends with any node.
    assert "SRUN_TOLD= --no-kill --cpus-per-task 32" in environment
    words = environment[environment.index("python") + 1 :]
    assert words[:5] == ["-m", "pipeline", "sweep", "cluster=ray", f"cluster.address={address}"]
    assert words[5:] == ["data=mnist", "device=gpu", "search.space=[model.hidden=4,8]"]


def test_the_exit_code_of_a_batch_job_is_that_of_the_sweep(
    allocation: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "venv" / "bin" / "python").write_text("#!/bin/bash\nexit 2\n")
    done = subprocess.run(["bash", DOCS / "fulcrum.sbatch"], env=allocation, check=False, timeout=60)
    assert done.returncode == 2


def test_a_batch_job_whose_environment_is_missing_says_so(allocation: dict[str, str]) -> None:
    done = subprocess.run(
        ["bash", DOCS / "fulcrum.sbatch"],
        env=allocation | {"FULCRUM_VENV": "/nowhere"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode != 0
    assert "/nowhere/bin/activate" in done.stderr


# ---- Kubernetes and compose --------------------------------------------------------------------------------


def read_pin(package: str, file: str = "requirements.txt") -> str:
    (version,) = re.findall(rf"(?m)^{package}==(\S+)", (CHECKOUT / file).read_text())
    return str(version)


def test_the_ray_job_is_closed_and_gives_the_stores_to_the_head_alone() -> None:
    job, claim = yaml.safe_load_all((DOCS / "rayjob.yaml").read_text())
    cluster = job["spec"]["rayClusterSpec"]
    assert cluster["rayVersion"] == read_pin("ray", "requirements-ray.txt")
    assert cluster["authOptions"] == {"mode": "token"}
    assert cluster["headGroupSpec"]["rayStartParams"]["num-cpus"] == "0"
    (head,) = cluster["headGroupSpec"]["template"]["spec"]["containers"]
    (group,) = cluster["workerGroupSpecs"]
    (worker,) = group["template"]["spec"]["containers"]
    assert worker["image"] == head["image"]
    assert worker["resources"]["limits"]["nvidia.com/gpu"] == "1"
    secret = {entry["name"] for entry in head["env"] if "valueFrom" in entry}
    assert secret == {"MLFLOW_TRACKING_URI", "FULCRUM_STORAGE"}
    assert not secret & {entry["name"] for entry in worker["env"]}
    words = pass_to_head(job["spec"]["entrypoint"], {"FULCRUM_STORAGE": "postgresql://me:x@db/fulcrum"})
    assert words[:4] == ["python", "-m", "pipeline", "sweep"]
    assert words[-1] == "search.storage=postgresql://me:x@db/fulcrum"
    volumes = cluster["headGroupSpec"]["template"]["spec"]["volumes"]
    assert volumes[0]["persistentVolumeClaim"]["claimName"] == claim["metadata"]["name"]


def pass_to_head(entrypoint: str, environment: dict[str, str]) -> list[str]:
    """Return the words of a RayJob's command as the head starts them.

    A shell of the pod that submits reads the line, `ray job submit` writes its words as one line again, and
    a shell of the head, which alone has the environment, reads that.
    """
    submitted = subprocess.check_output(["bash", "-c", f"printf '%s\\0' {entrypoint}"], text=True, env={})
    line = subprocess.list2cmdline(submitted.split("\0")[:-1])
    started = subprocess.check_output(["sh", "-c", f"printf '%s\\0' {line}"], text=True, env=environment)
    return started.split("\0")[:-1]


@pytest.mark.parametrize("folder", [CHECKOUT, DOCS], ids=["of the program", "of the pods"])
def test_an_image_is_built_from_what_is_there_or_not_at_all(folder: Path) -> None:
    lines = (folder / "Dockerfile").read_text().splitlines()
    ignored = (CHECKOUT / ".dockerignore").read_text().split()
    for line in lines:
        if line.startswith("COPY "):
            for source in [word for word in line.split()[1:-1] if not word.startswith("--")]:
                assert (CHECKOUT / source).exists()
                assert f"!{source}" in ignored, "a build does not see what .dockerignore leaves out"
    assert any("--require-hashes" in line for line in lines)
    steps = [line for line in lines if line.startswith("RUN ")]
    assert not [line for line in steps if "||" in line or ";" in line], "a step that failed would be none"


def test_the_image_of_the_pods_has_what_the_job_runs() -> None:
    lines = (DOCS / "Dockerfile").read_text().splitlines()
    hashed = [line for line in lines if "--require-hashes" in line]
    (default,) = [line for line in lines if "ray[default]" in line]
    assert f"ray[default]=={read_pin('ray', 'requirements-ray.txt')}'" in default
    assert hashed, "the rest is pinned with hashes"
    assert default not in hashed, "pip wants a hash of each package of a command, or of none"


def read_compose() -> dict[str, Any]:
    told: dict[str, Any] = yaml.safe_load((DOCS / "compose.yaml").read_text())
    return told["services"]  # type: ignore[no-any-return]


def test_the_compose_file_listens_here_alone_and_has_our_versions() -> None:
    services = read_compose()
    image = services["mlflow"]["build"]["dockerfile_inline"]
    assert f"mlflow=={read_pin('mlflow')} " in image
    assert f"psycopg[binary]=={read_pin('psycopg')}'" in image
    for name in ("postgres", "mlflow"):
        (port,) = services[name]["ports"]
        assert port.startswith("${FULCRUM_LISTEN:-127.0.0.1}:")
    assert services["postgres"]["environment"]["POSTGRES_PASSWORD"] == "${POSTGRES_PASSWORD:?choose one}"
    # The server that makes the database answers on its socket alone: whoever waits would be let go too early.
    assert " -h 127.0.0.1 " in services["postgres"]["healthcheck"]["test"][1]


@pytest.mark.slow
def test_the_command_of_the_compose_file_serves_from_postgresql(tmp_path: Path) -> None:
    programs = find_programs()
    if programs is None:
        pytest.skip("PostgreSQL is not installed: apt-get install postgresql")
    port = free_port()
    with running_postgres(programs) as address:
        url = make_url(address)
        plain = url.set(drivername="postgresql").render_as_string(hide_password=False)
        with psycopg.connect(plain, autocommit=True) as connection:
            connection.execute("CREATE DATABASE runs")
        place = f"postgresql+psycopg://{url.username}@{url.host}:{url.port}/runs"
        options = [
            {
                "--host": "--host=127.0.0.1",
                "--port": f"--port={port}",
                "--backend-store-uri": f"--backend-store-uri={place}",
                "--artifacts-destination": f"--artifacts-destination={tmp_path}",
            }.get(option.partition("=")[0], option)
            for option in read_compose()["mlflow"]["command"][2:]
        ]
        said = (tmp_path / "server.txt").open("w")
        server = subprocess.Popen(
            [sys.executable, "-m", "mlflow", "server", "--workers=1", *options],
            env={**os.environ, "PGPASSWORD": str(url.password)},
            stdout=said,
            stderr=said,
            start_new_session=True,
        )
        try:
            while not _answers(port):
                assert server.poll() is None, (tmp_path / "server.txt").read_text()
                time.sleep(0.2)
            found = requests.post(
                f"http://127.0.0.1:{port}/api/2.0/mlflow/experiments/search",
                json={"max_results": 5},
                headers={"Host": "localhost:5000"},
                timeout=60,  # the first question makes the tables: a busy machine takes its time for that
            )
            assert found.json()["experiments"][0]["name"] == "Default"
        finally:
            said.close()
            with suppress(ProcessLookupError):
                os.killpg(server.pid, signal.SIGKILL)
            server.wait()


def _answers(port: int) -> bool:
    try:
        reply = requests.get(f"http://127.0.0.1:{port}/health", headers={"Host": "localhost:5000"}, timeout=5)
    except requests.RequestException:
        return False
    return reply.ok
