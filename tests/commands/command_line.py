"""Running `samdistill` as an installed command."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def samdistill(*arguments: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Runs the command that stands beside this Python, offline, with stdin closed; returns code, stdout and stderr."""
    command = [str(Path(sys.executable).with_name("samdistill")), *map(str, arguments)]
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", "COLUMNS": "200"}
    return subprocess.run(
        command, cwd=cwd, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
