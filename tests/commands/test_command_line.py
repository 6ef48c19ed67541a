"""The command line as a whole: help, version, start-up, the list of models."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

import modeling_samdistill
from modeling_samdistill.bundled_models import bundled_names
from modeling_samdistill.commands import app
from tests.commands.command_line import samdistill

COMMANDS = [command.name or command.callback.__name__ for command in app.registered_commands if command.callback]


def test_version_is_that_of_the_package():
    assert samdistill("--version").stdout.strip() == f"samdistill {modeling_samdistill.__version__}"


def test_help_names_every_command():
    done = samdistill("--help")
    assert done.returncode == 0
    assert {"restore", "evaluate", "models"} <= set(COMMANDS)
    for command in COMMANDS:
        assert command in done.stdout


@pytest.mark.parametrize("command", [[], *([name] for name in COMMANDS)])
def test_help_imports_neither_torch_nor_transformers(command):
    script = (
        "import sys; sys.argv = ['samdistill', *sys.argv[1:]]\n"
        "from modeling_samdistill.commands import main\n"
        "try: main()\n"
        "except SystemExit as end: assert end.code == 0, end.code\n"
        "loaded = {name.partition('.')[0] for name in sys.modules}\n"
        "assert not loaded & {'torch', 'transformers', 'torchvision', 'datasets', 'gradio'}, loaded\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, *command, "--help"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "Usage" in done.stdout


def test_help_takes_under_a_second():
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        samdistill("--help")
        seconds.append(time.perf_counter() - start)
    assert min(seconds) < 1


def test_an_unknown_command_is_exit_code_2():
    assert samdistill("restor").returncode == 2


def test_models_lists_every_bundled_model():
    done = samdistill("models")
    assert done.returncode == 0, done.stderr
    listed = [line.split()[0] for line in done.stdout.splitlines()[1:]]
    assert listed == bundled_names()
