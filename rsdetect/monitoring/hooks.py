"""Hooks of a monitoring job: a command or a webhook that receives its news.

Both receive the summary. Secrets come from environment variables named in the job, are read when the hook is
called, and appear in no message.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

from rsdetect.errors import InputError, JobInterrupted
from rsdetect.extras import missing_extra
from rsdetect.feeds.retries import http_retries, in_time
from rsdetect.files import as_json, hash_bytes
from rsdetect.monitoring.job import CommandHook, FailureSection, NewsSection, WebhookHook

_COMMAND_S = 600.0  # timeout of a command
_SECONDS_TO_ANSWER = (10.0, 30.0)  # timeouts of a webhook: to connect, to respond
_MOST_OUTPUT_CHARACTERS = 300  # characters of a failed command's output in the message


class HookFailed(Exception):
    """Hook error: the news were not accepted; the next run delivers them again."""


def require_hook(section: NewsSection | FailureSection, folder: Path) -> None:
    """Raise if the hook of a job's section cannot work, before a run starts.

    Raises
    ------
    InputError
        The program does not exist, or an environment variable named in the job is not set.
    """
    hook, where = section.hook, "news" if isinstance(section, NewsSection) else "on_failure"
    if isinstance(hook, CommandHook) and _hook_program(hook, folder) is None:
        raise InputError(f"{where}.hook calls {hook.command[0]!r}, but there is no such program.")
    if isinstance(hook, WebhookHook):
        _require_webhook_scheme(_webhook_address(hook))
        for variable in hook.header_env.values():
            _hook_secret(variable)
        try:
            import urllib3  # noqa: F401
        except ImportError:
            raise missing_extra("monitor", "a webhook") from None


def call_hook(news: NewsSection, summary: Path, content: Mapping[str, Any], folder: Path) -> None:
    """Call the job's hook with the summary of the news.

    Parameters
    ----------
    summary
        The file with `content`; a command receives its path in RSDETECT_SUMMARY.
    folder
        Folder of the job file: the command's working directory.

    Raises
    ------
    HookFailed
        It could not be called, or did not accept the news; the message has no secrets.
    """
    hook = news.hook
    if isinstance(hook, CommandHook):
        environment = {
            "RSDETECT_SUMMARY": str(summary.absolute()),
            "RSDETECT_REPORT": str(content["files"]["report"]),
            "RSDETECT_EVENTS": str(content["files"]["events"]),
            "RSDETECT_SITE": str(content["site"]),
            "RSDETECT_NEWS_ID": str(content["news_id"]),
        }
        _run_command_hook(hook, environment, folder)
    if isinstance(hook, WebhookHook):
        _post_webhook(hook, summary.read_bytes(), str(content["news_id"]))


def call_failure_hook(section: FailureSection, content: Mapping[str, Any], folder: Path) -> None:
    """Call the hook of a job's failures with what ended the run; nothing is written for a webhook.

    A command has the main values in its environment, because no file can be written on a full disk.

    Raises
    ------
    HookFailed
        As `call_hook`.
    """
    hook, body = section.hook, as_json(content).encode()
    if isinstance(hook, CommandHook):
        environment = {
            f"RSDETECT_{name.upper()}": str(content[name]) for name in ("site", "job", "status", "reason")
        }
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as place:
            summary = Path(place) / "failure.json"
            with suppress(OSError):
                summary.write_bytes(body)
                environment["RSDETECT_SUMMARY"] = str(summary)
            _run_command_hook(hook, environment, folder)
    if isinstance(hook, WebhookHook):
        _post_webhook(hook, body, hash_bytes(body))


def _hook_program(hook: CommandHook, folder: Path) -> str | None:
    """Path of the hook's program; relative to the job's folder if it is written with a folder."""
    name = hook.command[0]
    with_folder = any(mark in name for mark in (os.sep, os.altsep) if mark)
    return shutil.which(str(folder / name) if with_folder else name)


def _run_command_hook(hook: CommandHook, environment: Mapping[str, str], folder: Path) -> None:
    """Run the hook's command; raise if it fails."""
    program = _hook_program(hook, folder)
    if program is None:
        raise HookFailed(f"there is no program {hook.command[0]!r}")
    with tempfile.TemporaryFile() as output:
        status = _exit_status([program, *hook.command[1:]], folder, os.environ | environment, output)
        if status == 0:
            return
        output.seek(max(0, output.seek(0, os.SEEK_END) - 4 * _MOST_OUTPUT_CHARACTERS))
        words = " ".join(output.read().decode(errors="replace").split())[-_MOST_OUTPUT_CHARACTERS:]
    raise HookFailed(f"{hook.command[0]} ended with status {status}: {words or 'no output'}")


def _exit_status(command: list[str], folder: Path, environment: Mapping[str, str], output: IO[bytes]) -> int:
    """Exit status of the hook's command, without waiting for processes that it leaves in the background.

    The output is a file, because a pipe stays open until the last process that inherits it ends. After a
    time-out or an interruption the whole process group is killed.
    """
    try:
        process = subprocess.Popen(  # noqa: S603  (written in the job, and no shell)
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise HookFailed(f"{command[0]} cannot be run: {reason or error}") from error
    try:
        return process.wait(_COMMAND_S)
    except subprocess.TimeoutExpired:
        raise HookFailed(f"{command[0]} did not finish within {_COMMAND_S:.0f} s") from None
    finally:
        if process.returncode is None:
            _kill_group(process)


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    if hasattr(os, "killpg"):
        with suppress(OSError):
            os.killpg(process.pid, signal.SIGKILL)
    process.kill()
    process.wait()


def _post_webhook(hook: WebhookHook, body: bytes, identity: str) -> None:
    """POST the summary to the hook's webhook; raise if it is not accepted."""
    import urllib3

    address = _webhook_address(hook)
    headers = {"Content-Type": "application/json", "Idempotency-Key": identity}
    headers |= {name: _hook_secret(variable) for name, variable in hook.header_env.items()}
    retries = http_retries(redirects=0)  # the receiver identifies a repeated POST by its Idempotency-Key
    connect, read = _SECONDS_TO_ANSWER
    try:
        with urllib3.PoolManager(timeout=urllib3.Timeout(connect, read), retries=retries) as pool:
            answer = in_time(lambda: pool.request("POST", address, body=body, headers=headers))
    except JobInterrupted:
        raise HookFailed(f"the webhook at {_webhook_host(address)} does not answer to the end") from None
    except (urllib3.exceptions.HTTPError, ValueError) as error:
        # The type only: the text quotes the address, which may contain a key.
        reason = getattr(error, "reason", None) or error
        raise HookFailed(
            f"the webhook at {_webhook_host(address)} cannot be reached ({type(reason).__name__})"
        ) from None
    if not 200 <= answer.status < 300:
        raise HookFailed(f"the webhook at {_webhook_host(address)} answered with status {answer.status}")


def _webhook_address(hook: WebhookHook) -> str:
    """URL of the webhook, from the job or the environment."""
    return hook.url if hook.url is not None else _hook_secret(str(hook.url_env))


def _hook_secret(variable: str) -> str:
    """Value of an environment variable that the hook names."""
    value = os.environ.get(variable)
    if not value:
        raise InputError(f"the hook requires the environment variable {variable}, which is not set.")
    return value.strip()


def _require_webhook_scheme(address: str) -> None:
    """Require an http or https address of the webhook in a hook."""
    try:
        is_http = urlsplit(address).scheme in ("http", "https") and bool(urlsplit(address).hostname)
    except ValueError:
        is_http = False
    if not is_http:
        raise InputError("the webhook's address does not begin with http:// or https://.")


def _webhook_host(address: str) -> str:
    """Host in the address of a hook's webhook, the only part in messages: the path often has a key."""
    return str(urlsplit(address).hostname)
