"""Training in a process of its own: the app starts it, looks after it, and may be restarted while it runs."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from heed.files import read_json
from heed.records import Json
from heed.store.studio.jobs import Job, JobKind, Jobs
from heed.store.workspace import Workspace

OUT, LOG = "out.json", "log.txt"
TAIL = 4000
"""Characters of a log that a page shows."""


def start_training(
    jobs: Jobs, workspace: Workspace, kind: JobKind, campaigns: Sequence[str], curve: bool, by: str
) -> Job:
    """Start ``heed train`` on what there is: it freezes the labels first, then learns from them.

    Raises:
        DataError: one of its kind is running already.
    """
    command = [sys.executable, "-m", "heed", "train", kind, "--workspace", str(workspace.root), "--json"]
    for name in campaigns:
        command += ["--campaign", name]
    if curve and kind == "reward":
        command.append("--learning-curve")
    job = jobs.start(kind, command, str(workspace.runs_dir / "jobs"), by)
    directory = Path(job.directory)
    directory.mkdir(parents=True, exist_ok=True)
    nice = ["nice", "-n", "10"] if shutil.which("nice") else []
    with (directory / OUT).open("wb") as out, (directory / LOG).open("wb") as log:
        process = subprocess.Popen(
            [*nice, *command], stdout=out, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True
        )
    jobs.set_process(job.id, process.pid)
    threading.Thread(target=_wait, args=(jobs, workspace, job.id, process), daemon=True).start()
    return jobs.get(job.id)


def look_after(jobs: Jobs, workspace: Workspace, job: Job) -> Job:
    """The job as it is now: one whose process is gone has ended, whoever started it."""
    if job.state != "running" or job.process is None or _lives(job.process):
        return job
    _conclude(jobs, workspace, job)
    return jobs.get(job.id)


def stop(jobs: Jobs, job: Job) -> None:
    """End a run. What it had done stays, and the next one goes on from its last checkpoint."""
    if job.state == "running" and job.process is not None:
        jobs.finish(job.id, "stopped", "stopped by a lead")
        try:
            os.killpg(job.process, signal.SIGTERM)
        except ProcessLookupError:
            return


def log_tail(job: Job) -> str:
    """The end of what a run said."""
    path = Path(job.directory) / LOG
    if not path.exists():
        return ""
    return path.read_bytes()[-4 * TAIL :].decode("utf-8", "replace").replace("\r", "\n")[-TAIL:]


def results(workspace: Workspace) -> dict[str, Any]:
    """What the last trainings of the workspace measured: accuracy, learning curve, and the labels behind them."""
    places = {
        "accuracy": workspace.runs_dir / "reward" / "accuracy.json",
        "curve": workspace.runs_dir / "reward-curve" / "curve.json",
        "arms": workspace.runs_dir / "reward-curve" / "arms.json",
        "sft": workspace.runs_dir / "sft" / "stage.json",
        "reward": workspace.runs_dir / "reward" / "stage.json",
        "config": workspace.root / "config.json",
    }
    return {name: read_json(path) for name, path in places.items() if path.exists()}


def _wait(jobs: Jobs, workspace: Workspace, id: str, process: subprocess.Popen[bytes]) -> None:
    """Take note of the end as soon as it comes; without this a dead child would look alive to its parent."""
    process.wait()
    _conclude(jobs, workspace, jobs.get(id))


def _conclude(jobs: Jobs, workspace: Workspace, job: Job) -> None:
    if job.state != "running":
        return
    try:
        said = read_json(Path(job.directory) / OUT)
    except Exception as error:
        last = [line for line in log_tail(job).splitlines() if line.strip()][-1:]
        jobs.finish(job.id, "failed", last[0].strip() if last else f"it ended without a word ({error})")
        return
    jobs.finish(job.id, "done", figures=_figures(workspace, job, said))


def _figures(workspace: Workspace, job: Job, said: Json) -> Mapping[str, Json]:
    found = results(workspace)
    labels = found.get("config", {}).get("settings", {}).get("labels", {})
    if job.kind == "sft":
        return {"said": said, "stage": found.get("sft", {}).get("figures", {}), "export": labels.get("demonstrations")}
    figures: dict[str, Json] = {"said": said, "accuracy": found.get("accuracy"), "export": labels.get("rankings")}
    if "--learning-curve" in job.command:
        figures |= {"curve": found.get("curve"), "arms": found.get("arms")}
    return figures


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
