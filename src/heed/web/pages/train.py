"""Train on what we have: from the labels to a model's accuracy, and what more labels are likely to add."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from heed.errors import DataError
from heed.web import charts
from heed.web.launch import log_tail, look_after, results, start_training, stop
from heed.web.routes import Route
from heed.web.visit import NotFound

if TYPE_CHECKING:
    from starlette.responses import Response

    from heed.store.studio.jobs import Job, JobKind
    from heed.web.visit import Visit

KINDS = {"sft": "Supervised fine-tuning", "reward": "Reward model"}
RUNS = 20


def train(visit: Visit) -> Response:
    """What there is to learn from, and what came out of it so far."""
    studio = visit.studio
    found = results(studio.workspace)
    config = found.get("config", {}).get("settings", {})
    jobs = [look_after(studio.jobs, studio.workspace, one) for one in studio.jobs.list(RUNS)]
    names = {account.id: account.name for account in studio.people.accounts()}
    return visit.page(
        "lead/train.html",
        title="Train",
        kinds=KINDS,
        ready=config.get("recipe") == "labels",
        models=sorted(path.parent.name for path in studio.workspace.models_dir.glob("*/heed.json")),
        counts=studio.jobs.trainable(),
        campaigns=[one.name for one in studio.campaigns.list()],
        jobs=jobs,
        running={one.kind for one in jobs if one.state == "running"},
        names=names,
        accuracy=found.get("accuracy"),
        curve=found.get("curve"),
        arms=found.get("arms"),
        curve_chart=curve_chart(found["curve"]) if "curve" in found else None,
        labels=config.get("labels", {}),
    )


def begin(visit: Visit) -> Response:
    """Freeze the labels and start.

    Raises:
        DataError: the kind or a campaign is unknown, or one of its kind is running.
    """
    kind = visit.form.get("kind", "")
    if kind not in KINDS:
        raise DataError(f"there is no training {kind[:40]!r}; expected one of {', '.join(KINDS)}")
    chosen = visit.form_list("campaign")
    for name in chosen:
        visit.studio.campaigns.get(name)
    job = start_training(
        visit.studio.jobs,
        visit.studio.workspace,
        cast("JobKind", kind),
        chosen,
        visit.form.get("curve") == "yes",
        visit.me.id,
    )
    return visit.go(f"/lead/train/{job.id}", "The labels are being frozen; training starts.")


def show(visit: Visit) -> Response:
    """One training run."""
    return visit.page("lead/train_job.html", title="Training", kinds=KINDS, **_about(visit))


def fragment(visit: Visit) -> Response:
    """The part of it that changes."""
    return visit.fragment("lead/train_fragment.html", kinds=KINDS, **_about(visit))


def end(visit: Visit) -> Response:
    """Stop a run."""
    job = _job(visit)
    stop(visit.studio.jobs, job)
    visit.studio.audit.record(visit.me.id, "train.stop", job.id)
    return visit.go(f"/lead/train/{job.id}", "It is stopped. The next one goes on from its last checkpoint.")


def curve_chart(curve: dict[str, Any]) -> Any:
    """Accuracy against the number of rankings, with its band."""
    points = [(float(one["labels"]), float(one["accuracy"])) for one in curve["points"]]
    band = [(float(one["labels"]), float(one["low"]), float(one["high"])) for one in curve["points"]]
    line = charts.Series(name="Accuracy on validation prompts", points=points, band=band, dots=True)
    return charts.line_chart(
        [line], label="Accuracy of reward models against the number of rankings", x_label="rankings",
        y_label="accuracy", write=charts.percent,
    )  # fmt: skip


def _about(visit: Visit) -> dict[str, Any]:
    job = _job(visit)
    names = {account.id: account.name for account in visit.studio.people.accounts()}
    curve = job.figures.get("curve")
    return {
        "job": job,
        "names": names,
        "log": log_tail(job),
        "accuracy": job.figures.get("accuracy"),
        "curve": curve,
        "arms": job.figures.get("arms"),
        "curve_chart": curve_chart(curve) if curve else None,
        "seconds": int(((job.ended_at or visit.studio.clock()) - job.started_at).total_seconds()),
    }


def _job(visit: Visit) -> Job:
    studio = visit.studio
    try:
        return look_after(studio.jobs, studio.workspace, studio.jobs.get(visit.path["job"]))
    except DataError as error:
        raise NotFound from error


ROUTES = (
    Route(method="GET", path="/lead/train", endpoint=train, who="lead"),
    Route(method="POST", path="/lead/train", endpoint=begin, who="lead", body="form"),
    Route(method="GET", path="/lead/train/{job}", endpoint=show, who="lead"),
    Route(method="GET", path="/lead/train/{job}/fragment", endpoint=fragment, who="lead"),
    Route(method="POST", path="/lead/train/{job}/stop", endpoint=end, who="lead", body="form"),
)
