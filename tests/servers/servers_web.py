"""The page of a home, served by the real server in a thread of a test, under the clock of that home."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import httpx

from past_month import Month, MonthHome
from servers_postgres import free_port
from spendwatch.app import App
from spendwatch.bills.client.process import ReadingProcess
from spendwatch.settings.web_settings import WebPart
from spendwatch.web.app import create_app
from spendwatch.web.server import serving


@contextmanager
def served(app: App, web: WebPart) -> Iterator[None]:
    """Serve the page of the app until the end."""
    loop, end, begun = asyncio.new_event_loop(), asyncio.Event(), threading.Event()

    async def serve() -> None:
        async with serving(create_app(app, web), web):
            begun.set()
            await end.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()), daemon=True)
    thread.start()
    try:
        assert begun.wait(60), "the server did not begin"
        yield
    finally:
        loop.call_soon_threadsafe(end.set)
        thread.join(60)
        assert not thread.is_alive(), "the server did not stop"
        loop.close()


@dataclass
class WebHouse:
    """A home whose page is served."""

    home: MonthHome
    month: Month
    port: int

    @property
    def url(self) -> str:
        """Where the page is."""
        return f"http://127.0.0.1:{self.port}"

    def client(self, **headers: str) -> httpx.Client:
        """Return a browser of sorts: it keeps cookies and follows nothing by itself."""
        transport = httpx.HTTPTransport(retries=20)  # the server may still be starting
        return httpx.Client(base_url=self.url, headers=headers, transport=transport, trust_env=False)

    def get(self, path: str, **headers: str) -> httpx.Response:
        """Return the answer to one request."""
        with self.client(**headers) as client:
            return client.get(path)


@contextmanager
def web_house(home: MonthHome, reader: ReadingProcess, more: str = "", listen: str = "127.0.0.1") -> Iterator[WebHouse]:
    """Give the page of a home that is furnished; `more` are further keys of `web`."""
    port = free_port()
    place = home.folder / "spendwatch.yaml"
    place.write_text(f"{place.read_text()}web: {{listen: '{listen}:{port}'{more}}}\n")
    with ExitStack() as stack:
        month = stack.enter_context(home.running(reader))
        assert month.app.settings.web
        stack.enter_context(served(month.app, month.app.settings.web))
        yield WebHouse(home, month, port)
