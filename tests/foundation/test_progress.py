"""Progress: whole lines, on the terminal and in the log, with a fair guess of what is left."""

import pytest

from agentomy.progress import Progress, duration


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def test_lines_go_to_the_terminal_and_to_the_log_with_share_and_time_left(tmp_path, capsys, clock):
    progress = Progress("bayes · training · cat-3", tmp_path / "deep" / "log", every=5, clock=clock)
    progress.step(0, 100, "updates")
    clock.now = 10
    progress.step(20, 100, "updates", "loss 0.5")
    line = "bayes · training · cat-3 · 20/100 updates · 20 % · 40 s left · loss 0.5\n"
    assert capsys.readouterr().err == line
    assert (tmp_path / "deep" / "log").read_text() == line


def test_lines_are_not_more_frequent_than_asked(capsys, clock):
    progress = Progress("job", every=5, clock=clock)
    for second in range(21):
        clock.now = second
        progress.step(second, 100, "updates")
    assert len(capsys.readouterr().err.splitlines()) == 4


def test_a_resumed_run_does_not_count_what_was_done_before(capsys, clock):
    progress = Progress("job", every=5, clock=clock)
    progress.step(80, 100, "updates")
    clock.now = 10
    progress.step(90, 100, "updates")
    assert "10 s left" in capsys.readouterr().err


@pytest.mark.parametrize(("seconds", "text"), [(8.4, "8 s"), (200, "3 min 20 s"), (7500, "2 h 5 min")])
def test_durations_read_as_people_say_them(seconds, text):
    assert duration(seconds) == text


def test_parts_of_a_job_count_as_parts_of_the_whole(capsys, clock):
    progress = Progress("job", every=5, clock=clock)
    for part in range(4):
        progress.begin(part, 4, f"run {part + 1}/4")
        clock.now += 10
        progress.step(5, 10, "snapshots", "cat-3")
        clock.now += 10
    lines = capsys.readouterr().err.splitlines()
    assert "job · run 2/4 · 25 % · 1 min 0 s left" in lines
    assert "job · 5/10 snapshots · 12 % · 1 min 10 s left · cat-3" in lines
    assert "job · 5/10 snapshots · 88 % · 10 s left · cat-3" in lines


def test_a_full_disk_under_the_log_does_not_stop_the_job(capsys):
    progress = Progress("job", "/dev/full")
    progress.say("one")
    progress.say("two")
    assert capsys.readouterr().err == "job · one\njob · two\n"
