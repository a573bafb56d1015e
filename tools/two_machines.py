"""Let two machines share a study, and kill them: `python -m tools.two_machines --kills 20`.

Each machine is a host name and a PID namespace of its own (`unshare`, which needs the rights of root), so
that neither can see whether a process of the other one lives: only leases tell. Both search one study in a
PostgreSQL and write to one `mlflow server`, both fresh. Whichever trains is killed with SIGKILL at a random
time and started again; at the end both records are compared, and whatever a kill may leave is looked for.
"""

import argparse
import os
import random
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from optuna.trial import FrozenTrial

from pipeline.search.storage.our_studies import OUTCOME, OWNER
from pipeline.search.storage.trial_states import is_interrupted
from pipeline.search.study_store import StudyStore
from tests.support.killed_sweeps import EndedStudy
from tests.support.mlflow_server import running_mlflow_server
from tests.support.postgres import find_programs, running_postgres
from tools.kills import end_session

NAMES = ("north", "south")
STUDY = "of two machines"
WORDS = (
    *("search=smoke", "search.confirm=1", "train.epochs=300", "pruning=none"),
    *("device=cpu", "device.pin=false", f"search.study={STUDY}"),
)
OWN_NAMESPACES = ("unshare", "--uts", "--pid", "--fork", "--kill-child=SIGKILL", "--mount-proc")
LONGEST_SECONDS = 8.0
"""A kill comes at most so long after a machine is seen to train."""
END_SECONDS = 2400.0
LOOK_SECONDS = 0.5


@dataclass
class Machine:
    """A machine that searches: its process, since when, and when it shall be killed."""

    name: str
    folder: Path
    words: tuple[str, ...]
    process: subprocess.Popen[bytes] = field(init=False)
    started: float = field(init=False)
    kill_at: float | None = None

    def start(self) -> None:
        """Start its search, or start it again."""
        own = self.folder / self.name
        (own / "tmp").mkdir(parents=True, exist_ok=True)
        environment = {**os.environ, "FULCRUM_CACHE": str(own / "cache"), "TMPDIR": str(own / "tmp")}
        become = f'hostname {self.name}; exec {sys.executable} -m pipeline sweep "$@"'
        with (self.folder / f"{self.name}.txt").open("ab") as output:
            self.process = subprocess.Popen(
                [*OWN_NAMESPACES, "sh", "-c", become, "sh", *self.words],
                env=environment,
                stdout=output,
                stderr=output,
            )
        self.started, self.kill_at = time.time(), None

    def is_seen_in(self, rows: list[FrozenTrial]) -> bool:
        """Return whether this start of it trains one of these trials."""
        owners = [row.user_attrs.get(OWNER, {}) for row in rows if not row.state.is_finished()]
        return any(
            owner.get("host") == self.name and owner.get("started", 0.0) > self.started - 2
            for owner in owners
        )

    def kill(self) -> None:
        """Kill it with all that it has started, as a power cut does."""
        self.process.kill()
        self.process.wait()


def kill_in_turn(machines: list[Machine], store: StudyStore, kills: int, draw: random.Random) -> int:
    """Kill whichever trains, until so many kills are done and the study has ended; return their number."""
    done, deadline = 0, time.monotonic() + END_SECONDS
    for machine in machines:
        machine.start()
    while any(machine.process.poll() is None for machine in machines):
        rows = store.trials()
        for machine in machines:
            code = machine.process.poll()
            if code is not None and code != 0:
                raise SystemExit(f"{machine.name} ended with exit code {code}: see {machine.folder}")
            if code == 0 or done >= kills:
                continue
            if machine.kill_at is None and machine.is_seen_in(rows):
                machine.kill_at = time.monotonic() + draw.uniform(0.0, LONGEST_SECONDS)
            if machine.kill_at is not None and time.monotonic() > machine.kill_at:
                machine.kill()
                done += 1
                print(f"kill {done}: {machine.name}, {sum(map(is_done, rows))} trials done", flush=True)
                machine.start()
        if time.monotonic() > deadline:
            raise SystemExit(f"the study did not end within {END_SECONDS:.0f} s")
        time.sleep(LOOK_SECONDS)
    return done


def is_done(row: FrozenTrial) -> bool:
    """Return whether a trial has ended by itself."""
    return row.state.is_finished() and not is_interrupted(row)


def main() -> int:
    """Kill as the words say; 1 where anything was found."""
    parser = argparse.ArgumentParser(prog="python -m tools.two_machines", description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--trials", type=int, default=240)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    programs = find_programs()
    if programs is None or os.geteuid() != 0:
        parser.error("it needs PostgreSQL (apt-get install postgresql) and the rights of root")
    folder = Path(tempfile.mkdtemp(prefix="machines-"))
    (folder / "tmp").mkdir()
    os.environ |= {"MLFLOW_DISABLE_TELEMETRY": "true", "XDG_RUNTIME_DIR": ""}
    with ExitStack() as stack:
        os.environ["MLFLOW_TRACKING_URI"] = stack.enter_context(running_mlflow_server(folder / "server"))
        storage = stack.enter_context(running_postgres(programs))
        words = (*WORDS, f"search.trials={options.trials}", f"search.storage={storage}")
        store = StudyStore(storage, STUDY)
        machines = [Machine(name, folder, words) for name in NAMES]
        try:
            done = kill_in_turn(machines, store, options.kills, random.Random(options.seed))
        finally:
            for machine in machines:
                machine.kill()
        rows = store.trials()
        commands = [row.user_attrs[OUTCOME]["command"] for row in rows if is_done(row)]
        ended = EndedStudy(name=STUDY, trials=options.trials, storage=storage, folder=folder)
        faults = ended.find_faults()
    print(f"{done} kills, {sum(map(is_interrupted, rows))} trials interrupted and tried again")
    print(f"{len(commands)} trials of {options.trials}, {len(commands) - len(set(commands))} twice")
    if done < options.kills:
        print(f"the study ended before the other {options.kills - done} kills: it needs more --trials")
    return end_session(folder, faults, done >= options.kills and len(set(commands)) == options.trials)


if __name__ == "__main__":
    sys.exit(main())
