"""A program of the user's own is started, read, clocked, and ended with all that it has started."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from pipeline import signals
from pipeline.cli.compose import compose
from pipeline.errors import BadSetting, FulcrumError, LoopFailed, Stopped
from pipeline.settings.settings import Settings
from pipeline.settings.training import Command
from pipeline.trial import command as commands
from pipeline.trial import program_output, user_code
from pipeline.trial.command import RunningCommand, fill_words
from pipeline.trial.loop_states import LoopTrained
from pipeline.trial.user_loop import can_report_model, check_loop, train_loop

HEAD = "import json, os, subprocess, sys, time\nsay = lambda **line: print(json.dumps(line))\n"
Make = Callable[..., Settings]


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    """Write a script and return the settings that run it with these words behind its name."""
    monkeypatch.setenv("FULCRUM_CACHE", str(tmp_path / "cache" / "prepared"))

    def make(body: str, arguments: str = "", *words: str) -> Settings:
        script = tmp_path / "train.py"
        script.write_text(HEAD + body)
        # -S: no site-packages, which a short test need not wait for
        line = f"trial.command={sys.executable} -S {script} {arguments}"
        return compose(["trial=command", line, "device.pin=false", *words]).settings

    return make


def train(settings: Settings) -> list[LoopTrained]:
    return list(train_loop(settings))


def test_values_go_in_and_lines_of_json_come_out(
    program: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(program_output, "LONGEST", 1000)
    body = (
        "print('hello', sys.argv[1:])\nprint('{no json')\nsay(step=3)\nsys.stdout.write('\\ufeff')\n"
        "for n in range(int(sys.argv[2])):\n"
        "    print('x' * 5000, '{', '[' * 5000)\n"  # longer than a line may be in this test
        "    sys.stdout.write(['50% |##  \\r', '\\r5/9\\b\\b\\b\\r\\x1b[1m9/9 acc: 0.1', '\\x1b[1;32m'][n])\n"
        "    sys.stdout.write(json.dumps(dict(epoch=n, accuracy=n / 10, f1=0.5, train_loss=2)))\n"
        "    sys.stdout.write(['\\r\\n', '\\n', '\\x1b[0m'][n])\n"  # no line ends the last one
        "print(1, file=sys.stderr)\n"
    )
    settings = program(body, "{name} {epochs} {{x}} {seed}", "name=a b", "epochs=3", "seed=7")
    items = train(settings)
    assert [item.curve.last.validation_accuracy for item in items] == [0.0, 0.1, 0.2]
    assert items[-1].numbers[-1] == {"f1": 0.5}
    assert items[-1].curve.last.train_loss == 2
    assert list((tmp_path / "cache" / "logs").iterdir()) == []  # nothing was wrong


def test_lines_may_be_written_into_a_file(program: Make) -> None:
    body = (
        "with open(sys.argv[1], 'a') as file:\n    for n in (1, 2):\n"
        "        file.write(f'a remark beside it: {dict(accuracy=n / 4)}\\n')\n"
        "        file.write(json.dumps({'epoch': n, 'accuracy': n / 4}) + '\\n')\n        file.flush()\n"
    )
    assert [item.curve.last.validation_accuracy for item in train(program(body, "{output}"))] == [0.25, 0.5]


SPIN = (
    "def spin(seconds):\n    end = time.process_time() + seconds\n    while time.process_time() < end: pass\n"
)


def test_the_cost_is_the_cpu_seconds_of_the_program_and_its_children(program: Make) -> None:
    body = (
        f"{SPIN}spin(0.2)\nsay(clock='start')\nspin(0.1)\nsay(clock='stop')\nspin(0.3)\nsay(accuracy=0.5)\n"
        f"child = {SPIN + 'spin(0.2)'!r}\n"
        "subprocess.run([sys.executable, '-S', '-c', 'import time\\n' + child], check=True)\n"
        "say(accuracy=0.6)\n"
    )
    first, second = train(program(body))
    assert 0.07 <= first.curve.last.device_seconds <= 0.19  # in ticks of 0.01 s, two to an interval
    assert 0.15 <= second.curve.last.device_seconds - first.curve.last.device_seconds <= 0.45
    assert second.seconds.validate >= 0.25


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ("say(accuracy=0.5)\nsys.exit(3)", "ended with exit code 3: it said nothing"),
        (
            "say(accuracy=0.5)\nraise ValueError('no way')",
            "ended with exit code 1: ValueError: no way; its log: ",
        ),
        ("os.kill(os.getpid(), 9)", "ended with signal SIGKILL"),
        ("os.kill(os.getpid(), 40)", "ended with signal 40: it said nothing"),
        ("print(0.9)", "must print a line of JSON with an accuracy after each epoch, got none"),
        ("print('accuracy 0.9')", "a line of JSON by itself, got 'accuracy 0.9'; print {\"epoch\": 1,"),
        ("print('INFO:', json.dumps({'accuracy': 0.5}))", "got 'INFO: {\"accuracy\": 0.5}'; print"),
        ("print({'accuracy': 0.5})", "got \"{'accuracy': 0.5}\"; print"),
        (  # what bc writes of a share: the first and the last are JSON, and would be all
            "say(accuracy=0)\nprint('{\"accuracy\": .75}')\nsay(accuracy=1)",
            "got '{\"accuracy\": .75}'; print",
        ),
        ("say(accuracy=0)\nprint('{\"accuracy\": 0,5 }')\nsay(accuracy=1)", "got '{\"accuracy\": 0,5 }'"),
        ("say(val_accuracy=0.5)", "by itself, got '{\"val_accuracy\": 0.5}'; print"),
        ("say(Acc=0.5)", "by itself, got '{\"Acc\": 0.5}'; print"),
        (
            "say(accuracy=0.5)\nfor n in 6, 7:\n    print('50%|#', json.dumps({'accuracy': n / 10}))",
            "got '50%|# {\"accuracy\": 0.7}'; print",
        ),
        ("sys.stdout.buffer.write('{\"accuracy\": 0.5}\\n'.encode('utf-16-le'))", "in UTF-8, got UTF-16"),
        ("print(json.dumps({'accuracy': 0.5}), file=sys.stderr)", "to its standard output, got it elsewhere"),
        ("say(accuracy=0.5, state=3)", "must report no state, since a program begins anew after a pause"),
        ("say(epoch='1', accuracy=0.1)", "one by one, got epoch '1' as number 1"),
        ("say(accuracy=0.1)\nsay(epoch=3, accuracy=0.1)", "one by one, got epoch 3 as number 2"),
        (
            "say(accuracy=0.5)\nprint('{\"accuracy\": 0.', end='')",
            "got '{\"accuracy\": 0.'; print",
        ),
        (
            'sys.stdout.buffer.write(b\'{"accuracy": 0.5, "note": "\\xff"}\\n\')\nsay(accuracy=0.6)',
            "note must be a number, got '\ufffd' in epoch 1",
        ),
        ("say(accuracy=97)", "accuracy must be >= 0 and <= 1, got 97 in epoch 1; report 0.97 for 97 %"),
        ("say(accuracy=float('nan'))", "accuracy must be finite, got nan"),
        ("say(accuracy='high')", "accuracy must be a number, got 'high'"),
        ("say(epoch=1, accuracy=0.1)\nsay(epoch=3, accuracy=0.1)", "one by one, got epoch 3 as number 2"),
        ("say(clock='go')", 'clock must be "start" or "stop", got \'go\''),
    ],
)
def test_what_a_program_does_wrong_is_one_line(program: Make, body: str, text: str) -> None:
    with pytest.raises(FulcrumError, match=r"^trial\.command") as error:
        train(program(body))
    assert text in str(error.value)
    assert "\n" not in str(error.value)
    if "its log" in text:
        log = Path(str(error.value).rpartition("its log: ")[2])
        assert "Traceback" in log.read_text()


@pytest.mark.parametrize("epoch", [1, 2])  # the second by either way of counting
def test_a_program_may_count_only_some_of_its_epochs(program: Make, epoch: int) -> None:
    trained = train(program(f"say(accuracy=0.1)\nsay(epoch={epoch}, accuracy=0.2)", "epochs=2"))
    assert [epoch.validation_accuracy for epoch in trained[-1].curve.epochs] == [0.1, 0.2]


def test_a_failure_after_the_last_epoch_is_told_too(program: Make) -> None:
    with pytest.raises(FulcrumError, match="exit code 4"):
        train(program("say(accuracy=0.5)\nsys.exit(4)", "{epochs}", "epochs=1"))


def test_one_that_is_stopped_goes_with_all_that_it_has_started(program: Make, tmp_path: Path) -> None:
    body = (
        "child = subprocess.Popen(['sleep', '600'], start_new_session=True)\n"
        "left = subprocess.check_output(['sh', '-c', 'setsid sleep 600 >/dev/null & echo $!'], text=True)\n"
        "open(sys.argv[1], 'w').write(f'{os.getpid()} {child.pid} {left}')\n"
        "while True:\n    say(accuracy=0.5)\n    time.sleep(0.01)\n"
    )
    pids = tmp_path / "pids"
    settings = program(body, str(pids), "epochs=50")
    trained = list(train_loop(settings, stop=lambda curve: "enough" if curve.last.number == 2 else None))
    assert trained[-1].stop_reason == "enough"
    for pid in map(int, pids.read_text().split()):
        deadline = time.monotonic() + 60
        while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
            assert time.monotonic() < deadline, f"{pid} lives on"
            time.sleep(0.01)


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["trial.command=python x.py {width}"], "^width must be set, got nothing; add width="),
        (
            ["trial.command=x {output}", "output=a"],
            "^output is .*, got a; leave it out: {output} is a file",
        ),
        (
            ["trial.command=x {lr-max}", "lr-max=1"],
            "^lr-max must have letters.*; write lr_max$",
        ),
        (["trial.command=x {state}", "state=3"], "^state must be left out with trial=command"),
        (["trial.command=x {state}"], "^state of trial.command must have another name, since it is ours"),
        (["trial.command=python x.py", "width=3"], "^width is not a .*, got 3; write {width} in it$"),
        (["trial.command=python x.py | tee log"], r"^trial.command must be one program.*, got \| in .*sh -c"),
        (["trial.command=a.sh && b.sh"], "^trial.command must be one program, which no shell reads, got &&"),
        (["trial.command=A=1 python x.py"], r"^trial.command must be one program.*, got A=1 in .*sh -c"),
        (["trial.command= "], "^trial.command must be a command line, got nothing"),
        (["trial.command=python 'x"], "^trial.command must be words as a shell reads them"),
        ([], "^trial.command must be set"),
    ],
)
def test_a_command_line_that_does_not_fit_is_told_before(words: list[str], text: str) -> None:
    with pytest.raises(BadSetting, match=text):
        compose(["trial=command", *words])


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("run --config '{\"size\": {width}}'", ["run", "--config", '{"size": 5}']),
        ("run {{{width}}} {{width}} {} {a-b}", ["run", "{5}", "{width}", "{}", "{a-b}"]),
        ("sh -c 'a | b > {width}.txt' \"|\" it\\'s", ["sh", "-c", "a | b > 5.txt", "|", "it's"]),
    ],
)
def test_braces_and_quotes_stand_for_what_they_do_in_a_format(command: str, words: list[str]) -> None:
    assert fill_words(Command(values={}, fair_midway=True, command=command).command, {"width": 5}) == words


def test_a_line_of_many_braces_is_looked_through_once() -> None:
    line = b'{"a":' * 100_000  # four minutes where each brace begins a search
    assert not program_output.hides_report(line)
    assert program_output.hides_report(line + b'"accuracy": 0.5}')


@pytest.mark.parametrize("moment", ["__init__", "_end"])
def test_a_signal_as_a_program_begins_or_ends_leaves_none_and_no_log(
    program: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    signals.listen()  # tests/conftest.py gives the handlers back
    started, start, method = list[int](), subprocess.Popen, getattr(RunningCommand, moment)

    def note(*words: Any, **named: Any) -> "subprocess.Popen[bytes]":
        process = start(*words, **named)
        started.append(process.pid)
        if moment == "__init__":
            signal.raise_signal(signal.SIGTERM)
        return process

    def be_stopped(*words: Any) -> None:
        if moment == "_end":
            signal.raise_signal(signal.SIGTERM)
        method(*words)

    monkeypatch.setattr(commands.subprocess, "Popen", note)
    monkeypatch.setattr(RunningCommand, moment, be_stopped)
    kept = None
    try:
        list(train_loop(program("say(accuracy=0.5)\ntime.sleep(600)"), stop=lambda _: "enough"))
    except Stopped as error:
        kept = error  # as a notebook keeps it, and with it all that was under way
    assert kept is not None
    assert not psutil.pid_exists(started[0])
    assert not list((tmp_path / "cache" / "logs").iterdir())


def test_a_program_that_is_not_there_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FULCRUM_CACHE", str(tmp_path / "prepared"))
    settings = compose(["trial=command", "trial.command=nowhere-to-be-found --x"]).settings
    check_loop(settings)
    with pytest.raises(FulcrumError, match=r"^trial\.command must be a program .* got nowhere-to-be-found"):
        train(settings)


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (
            ["trial.command={program}"],
            "must be a program .*Permission denied.*; make it executable, or write what",
        ),
        (["trial.command=true {{x}}", "x='a\0b'"], "must get words .*; hand over a file$"),
        (["trial.command=true {{x}}", f"x={'a' * 2**18}"], "must get words .*; hand over a file$"),
    ],
)
def test_a_program_that_cannot_be_started_is_told_what_helps(
    words: list[str], text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FULCRUM_CACHE", str(tmp_path / "prepared"))
    (tmp_path / "program.py").write_text("")
    filled = [word.format(program=tmp_path / "program.py") for word in words]
    with pytest.raises(LoopFailed, match=rf"^trial\.command {text}"):
        train(compose(["trial=command", *filled]).settings)


def test_its_code_is_that_of_its_script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.py").write_text("1")
    Path("package").mkdir()
    Path("package/__main__.py").write_text("1")
    for name in ("__init__", "go"):
        Path(f"package/{name}.py").write_text("raise SystemExit")  # nobody imports what is to be started
    for command in ("python a.py --x {y}", f"env A=b.c {sys.executable} -u ./a.py", "bash -c './a.py' a.py"):
        assert user_code.find_script(command) == Path("a.py"), command
    for module, file in (("package", "package/__main__.py"), ("package.go", "package/go.py")):
        found = user_code.find_script(f"python -m {module} {{x}}")
        assert found is not None
        assert found.resolve() == Path(file).resolve()
    for command in ("true --x", "python -m package.nothing", "python -m nothing.at_all"):
        assert user_code.find_script(command) is None


def test_yaml_beside_the_script_declares_its_keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("go.py").write_text("")
    Path("go.yaml").write_text(json.dumps({"width": 8, "epochs": 3}))
    command = "trial.command=python go.py {width} {epochs}"
    settings = compose(["trial=command", command]).settings
    assert settings.train.epochs == 3
    assert not can_report_model(settings)  # so the end of a sweep does not train it again for one
    with pytest.raises(BadSetting, match="width must be a whole number, got wide"):
        compose(["trial=command", command, "width=wide"])
