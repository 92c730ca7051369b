"""A studio in a process of its own, as people reach it: over HTTP, on a workspace in a file, to be killed at will."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

ROOT = Path(__file__).parents[2]
PATIENCE_SECONDS = 60.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Served:
    """The studio of one workspace on one port."""

    def __init__(self, workspace: Path) -> None:
        self.workspace = workspace
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = [sys.executable, str(Path(__file__)), str(self.workspace), str(self.port)]
        environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}"}
        log = (self.workspace / "server.log").open("ab")
        with log:
            self._process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        until = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < until:
            try:
                with urllib.request.urlopen(f"{self.url}/healthz", timeout=5):
                    return
            except urllib.error.HTTPError:
                return
            except OSError:
                assert self._process.poll() is None, (self.workspace / "server.log").read_text(encoding="utf-8")
                time.sleep(0.05)
        raise AssertionError("the studio did not start")

    def kill(self) -> None:
        """As the power would: no goodbye."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()
            self._process = None


def serve(workspace: str, port: int) -> None:
    import uvicorn

    from heed.generation.desk import ModelDesk
    from heed.store import Workspace
    from heed.web.app import build_app
    from heed.web.studio import Studio

    opened = Workspace.open(workspace)
    desk = ModelDesk(opened.models_dir, command=[sys.executable, str(Path(__file__).with_name("parrot.py"))])
    with opened.store() as store:
        uvicorn.run(build_app(Studio.of(opened, store, desk=desk)), host="127.0.0.1", port=port, log_level="warning")


if __name__ == "__main__":
    serve(sys.argv[1], int(sys.argv[2]))
