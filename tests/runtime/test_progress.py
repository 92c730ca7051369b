from __future__ import annotations

import io

from rich.console import Console

from heed.runtime.progress import PlainProgress, RichProgress, SilentProgress, duration, open_progress


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_plain_lines_say_stage_share_time_left_and_figure_every_ten_seconds() -> None:
    clock, stream = Clock(), io.StringIO()
    progress = PlainProgress(stream, every_seconds=10, clock=clock)
    progress.begin("[3/9] reward model")
    with progress.track(100, "steps", heading="[3/9] reward model") as tracker:
        for step in range(40):
            clock.now += 1.0
            tracker.advance(1, figure=f"loss {2.0 - step / 100:.2f}")
    progress.end("[3/9] reward model", 40.0, "loss 1.61")
    progress.begin("[4/9] PPO-ptx")
    progress.close()
    assert stream.getvalue().splitlines() == [
        "[3/9] reward model",
        "[3/9] reward model   10%  10/100 steps  1:30 min left  loss 1.91",
        "[3/9] reward model   20%  20/100 steps  1:20 min left  loss 1.81",
        "[3/9] reward model   30%  30/100 steps  1:10 min left  loss 1.71",
        "[3/9] reward model   40%  40/100 steps  1:00 min left  loss 1.61",
        "[3/9] reward model  40 s  loss 1.61  done",
        "[4/9] PPO-ptx",
    ]


def test_work_done_before_an_interruption_does_not_make_the_forecast_rosy() -> None:
    clock, stream = Clock(), io.StringIO()
    progress = PlainProgress(stream, every_seconds=10, clock=clock)
    tracker = progress.track(100, "steps", done=80)
    clock.now = 10.0
    tracker.advance(10)  # ten steps took ten seconds, so the last ten take ten more
    assert stream.getvalue() == " 90%  90/100 steps  10 s left\n"


def test_bars_show_two_stages_at_once_and_leave_a_tick_for_each() -> None:
    clock, stream = Clock(), io.StringIO()
    console = Console(file=stream, force_terminal=True, width=120, color_system=None, legacy_windows=False)
    progress = RichProgress(console, clock)
    progress.begin("[1/2] pretrain")
    progress.begin("[2/2] collect")
    with progress.track(1000, "rows", heading="[1/2] pretrain") as tracker:
        clock.now = 10.0
        tracker.advance(500, figure="loss 2.50")
        progress._bars.refresh()
        frame = stream.getvalue()
    progress.note("an aside")
    progress.end("[1/2] pretrain", 10.0, "loss 2.50")
    progress.close()
    assert (
        "[1/2] pretrain" in frame
        and "[2/2] collect" in frame
        and "500/1,000 rows" in frame
        and "10 s left" in frame
        and "loss 2.50" in frame
    )
    assert "an aside" in stream.getvalue()
    assert "✓ [1/2] pretrain  10 s  loss 2.50" in stream.getvalue()


def test_silent_progress_accepts_everything() -> None:
    progress = SilentProgress()
    progress.begin("x")
    with progress.track(3, "steps", done=1) as tracker:
        tracker.advance(2, figure="y")
    progress.note("z")
    progress.end("x", 1.0)
    progress.close()


def test_a_file_gets_plain_lines_and_silence_is_silent() -> None:
    assert isinstance(open_progress(io.StringIO()), PlainProgress)
    assert isinstance(open_progress(io.StringIO(), silent=True), SilentProgress)


def test_durations_read_well() -> None:
    assert [duration(s) for s in (0.4, 59.4, 59.6, 125, 3600, 7325)] == [
        "0 s",
        "59 s",
        "1:00 min",
        "2:05 min",
        "1:00 h",
        "2:02 h",
    ]
