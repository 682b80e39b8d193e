"""Call whom the job names when there is news: a command, or a webhook.

Both get the summary. What is secret stands in environment variables that the job names, is read when it is
sent, and appears in no message.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from rsdetect.errors import InputError
from rsdetect.extras import missing_extra
from rsdetect.monitoring.job import CommandHook, NewsSection, WebhookHook
from rsdetect.monitoring.retries import patient

_COMMAND_S = 600.0  # after which a command is given up
_SECONDS_TO_ANSWER = (10.0, 30.0)  # for a webhook: to connect, to answer
_TOLD_OF = 300  # characters of what a command complains of


class HookFailed(Exception):
    """The hook did not take the news; they stay untold, and the next run tries again."""


def require_hook(news: NewsSection, folder: Path) -> None:
    """Refuse a hook that cannot work, before anything is done.

    Raises
    ------
    InputError
        The program is not there, or an environment variable that the job names is not set.
    """
    hook = news.hook
    if isinstance(hook, CommandHook) and _program(hook, folder) is None:
        raise InputError(f"news.hook calls {hook.command[0]!r}, and there is no such program.")
    if isinstance(hook, WebhookHook):
        _require_http(_address(hook))
        for variable in hook.header_env.values():
            _secret(variable)
        try:
            import urllib3  # noqa: F401
        except ImportError:
            raise missing_extra("monitor", "a webhook") from None


def call_hook(news: NewsSection, summary: Path, content: Mapping[str, Any], folder: Path) -> None:
    """Tell whom the job names.

    Parameters
    ----------
    summary
        The file that holds `content`; a command finds its path in RSDETECT_SUMMARY.
    folder
        Of the job file: the command's current folder.

    Raises
    ------
    HookFailed
        It could not be called, or did not take the news; in words without secrets.
    """
    hook = news.hook
    if isinstance(hook, CommandHook):
        _run(hook, summary, content, folder)
    if isinstance(hook, WebhookHook):
        _post(hook, summary, str(content["news_id"]))


def _program(hook: CommandHook, folder: Path) -> str | None:
    """The program, from the job's folder where it is written with a folder."""
    name = hook.command[0]
    with_folder = any(mark in name for mark in (os.sep, os.altsep) if mark)
    return shutil.which(str(folder / name) if with_folder else name)


def _run(hook: CommandHook, summary: Path, content: Mapping[str, Any], folder: Path) -> None:
    program = _program(hook, folder)
    if program is None:
        raise HookFailed(f"there is no program {hook.command[0]!r}")
    told = {
        "RSDETECT_SUMMARY": str(summary.absolute()),
        "RSDETECT_REPORT": str(content["files"]["report"]),
        "RSDETECT_EVENTS": str(content["files"]["events"]),
        "RSDETECT_SITE": str(content["site"]),
        "RSDETECT_NEWS_ID": str(content["news_id"]),
    }
    try:
        done = subprocess.run(  # noqa: S603  (the job's own words, and no shell)
            [program, *hook.command[1:]],
            cwd=folder,
            env=os.environ | told,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=_COMMAND_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise HookFailed(f"{hook.command[0]} did not end within {_COMMAND_S:.0f} s") from None
    except OSError as error:
        raise HookFailed(f"{hook.command[0]} cannot be run: {error.strerror or error}") from error
    if done.returncode != 0:
        said = " ".join(done.stdout.decode(errors="replace").split())[-_TOLD_OF:]
        raise HookFailed(
            f"{hook.command[0]} ended with status {done.returncode}: {said or 'it said nothing'}"
        )


def _post(hook: WebhookHook, summary: Path, news_id: str) -> None:
    import urllib3

    address = _address(hook)
    headers = {"Content-Type": "application/json", "Idempotency-Key": news_id}
    headers |= {name: _secret(variable) for name, variable in hook.header_env.items()}
    retries = patient(redirects=0)  # of a POST too: the receiver can tell a repetition by its Idempotency-Key
    connect, read = _SECONDS_TO_ANSWER
    try:
        with urllib3.PoolManager(timeout=urllib3.Timeout(connect, read), retries=retries) as pool:
            answer = pool.request("POST", address, body=summary.read_bytes(), headers=headers)
    except (urllib3.exceptions.HTTPError, ValueError) as error:
        # By its kind only: its text quotes the address, which may hold a key.
        reason = getattr(error, "reason", None) or error
        raise HookFailed(
            f"the webhook at {_host(address)} cannot be reached ({type(reason).__name__})"
        ) from None
    if not 200 <= answer.status < 300:
        raise HookFailed(f"the webhook at {_host(address)} answered with status {answer.status}")


def _address(hook: WebhookHook) -> str:
    return hook.url if hook.url is not None else _secret(str(hook.url_env))


def _secret(variable: str) -> str:
    value = os.environ.get(variable)
    if not value:
        raise InputError(f"news.hook wants the environment variable {variable}, which is not set.")
    return value.strip()


def _require_http(address: str) -> None:
    if urlsplit(address).scheme not in ("http", "https") or not urlsplit(address).hostname:
        raise InputError("the webhook's address is not one of http:// or https://.")


def _host(address: str) -> str:
    """All of an address that may be said aloud: many webhooks have their key in the path."""
    return str(urlsplit(address).hostname)
