"""The guard of a command that was interrupted: it ends the process, and only one of both prints a message."""

from __future__ import annotations

import subprocess
import sys

import pytest

from rsdetect.interruption import MESSAGE

RUN = """
import os, signal, sys, threading, time
from rsdetect import interruption
genuine, asked = interruption._Guard.may_say, []
def may_say(guard):
    asked.append(genuine(guard))
    return asked[-1]
interruption._Guard.may_say = may_say
{before}
with interruption.ending_in_time(0.1):
    guard = interruption._guard
    if {outside}:
        interruption.guard_from_outside()
    try:
        signal.raise_signal(signal.SIGTERM)
    except KeyboardInterrupt:
        pass
    {command}
os._exit(0)
"""


def run(command, before="", *, outside=False):
    code = RUN.format(command=command, before=before, outside=outside)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    return done.returncode, done.stderr


@pytest.mark.parametrize("outside", [False, True])
def test_the_guard_ends_a_command_that_does_not(outside):
    assert run("time.sleep(600)", outside=outside) == (3, MESSAGE)


def test_a_guard_whose_time_is_up_leaves_the_message_to_the_command():
    command = """
    wait = guard.over.wait
    guard.over.wait = lambda seconds: wait(seconds if len(asked) < 2 else 600)
    interruption.require_last_word()
    while len(asked) < 2:
        time.sleep(0.01)
    os.write(2, b"mine")
    """
    assert run(command) == (0, "mine")


def test_a_guard_outside_whose_time_is_up_leaves_the_message_to_the_command():
    before = """
first, second, third = interruption._OUTSIDE.split("time.sleep(3.5)")
interruption._OUTSIDE = first + "time.sleep(0.1)" + second + "time.sleep(600)" + third
"""
    command = """
    interruption.require_last_word()
    time.sleep(1)
    os.write(2, b"mine")
    """
    assert run(command, before, outside=True) == (0, "mine")


@pytest.mark.parametrize("outside", [False, True])
def test_a_command_prints_nothing_once_its_guard_does(outside):
    command = """
    guard.may_say()  # as the guard
    guard.seconds = 600
    threading.Timer(0.1, lambda: os._exit(3)).start()
    interruption.require_last_word()
    os.write(2, b"mine")
    """
    assert run(command, outside=outside) == (3, "")


def test_a_signal_changes_nothing_once_the_command_prints_how_it_ended():
    command = """
    guard.received = False
    interruption.require_last_word()
    signal.raise_signal(signal.SIGINT)
    os.write(2, b"mine")
    """
    assert run(command) == (0, "mine")


@pytest.mark.parametrize(("place", "option"), [("_end", "--nothing"), ("_close_streams", "--version")])
def test_a_signal_while_a_command_ends_is_an_interruption(place, option):
    code = f"""
import signal, sys
from rsdetect import cli
genuine = cli.{place}
def struck(*given):
    cli.{place} = genuine
    signal.raise_signal(signal.SIGTERM)
cli.{place} = struck
sys.argv[1:] = ["{option}"]
cli.main()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (3, MESSAGE)
