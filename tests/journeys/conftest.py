"""A furnished home with receivers for each journey."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from home import Home
from servers_http import HttpSink
from servers_smtp import SmtpSink


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    """A home with a mail server and a webhook receiver."""
    with SmtpSink() as mail, HttpSink() as hook:
        yield Home(tmp_path, mail, hook)


@pytest.fixture
def quiet_home(tmp_path: Path) -> Home:
    """A home that can only print."""
    return Home(tmp_path)
