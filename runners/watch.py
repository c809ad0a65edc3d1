"""The report of a run as a live page: a server on loopback that reads what is new, and tells it to the browser."""

__all__ = ["WatchError", "watch_app", "watch_run"]

import asyncio
import contextlib
import json
import socket
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable
from importlib.util import find_spec
from typing import Any, final

from .directory import RunDirectory
from .observers import MissingExtraError
from .reading import RunView, read_run
from .report import judged, run_page
from .report_graph import Drawing, draw_plan
from .sheets import read_sheets
from .standing import Foreseen, foresee, judge
from .storage import RunPath, is_local, run_path
from .watch_feed import Feed, PageFacts, state_of
from .watch_wait import awaited_run

_PACKAGES = {"starlette": "starlette", "uvicorn": "uvicorn", "sse_starlette": "sse-starlette"}
_EVERY, _EVERY_REMOTE = 0.5, 3.0
_LINGER = 30.0
_PATIENCE = 30.0
"""For a run that is not there yet, in seconds."""
_RESTING = 10.0
_LOOPBACK = ("127.0.0.1", "localhost")
_ANYWHERE = ("", "0.0.0.0", "::", "*")
_HEADERS = {
    "Cache-Control": "no-store",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


class WatchError(ValueError):
    """A run cannot be watched at the address that was asked for.

    Not `RunDirectoryError`: the run is fine.
    """


def watch_run(
    run: RunPath | str,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    until_end: bool = False,
    on_start: Callable[[str], None] = lambda address: None,
    on_wait: Callable[[str], None] = lambda text: print(text, file=sys.stderr, flush=True),
) -> None:
    """Serves the page of a run until it is interrupted.

    Arguments:
        run: a run directory, or its URL; the run may have ended, go on, have no record yet, or begin within 30 s.
        host: name or address to listen on, by which alone browsers may ask.
        port: of the address; 0 takes a free one.
        until_end: stop once the run has ended and the pages that are open show its results.
        on_start: called with the address of the page once it can be opened.
        on_wait: called with a sentence if there is no run yet; writes it to standard error if left out.

    Raises:
        MissingExtraError: the packages of a server are not installed.
        RunDirectoryError: `run` is none, or that of a study, or has not come.
        WatchError: nothing can listen on that address.
    """
    _require_packages()
    if host in _ANYWHERE:
        raise WatchError(
            f"--host is {host!r}, which names no one address, so that requests of foreign pages could not be told from "
            "yours; give the name or address that browsers will ask for"
        )
    try:
        path = awaited_run(run, patience=_PATIENCE, on_wait=on_wait)
    except KeyboardInterrupt:
        return
    try:
        listening = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except (OSError, OverflowError) as error:
        raise WatchError(
            f"{host}:{port} cannot be listened on: {error}; choose another --port, or 0 for a free one"
        ) from None
    with listening:
        import uvicorn

        address = f"http://{f'[{host}]' if ':' in host else host}:{listening.getsockname()[1]}/"
        source = _Source(path)
        config = uvicorn.Config(
            _app(source, (host, f"[{host}]")),
            lifespan="off",
            log_level="warning",
            access_log=False,
            server_header=False,
            limit_concurrency=100,
            timeout_graceful_shutdown=3,
        )
        server = uvicorn.Server(config)
        source.stopping = lambda: server.should_exit
        try:
            asyncio.run(_serve(server, listening, source, until_end, lambda: on_start(address)))
        except KeyboardInterrupt:
            return


def watch_app(run: RunPath | str, *, hosts: tuple[str, ...] = ()) -> Any:
    """The page of a run as an ASGI application: `/` is the page, `/events` what it is told, and there is nothing else.

    Requests that name another host than loopback or one of `hosts` are refused, so that no foreign page can have its
    own name lead here (DNS rebinding).

    Arguments:
        run: a run directory, or its URL.
        hosts: names or addresses besides `127.0.0.1` and `localhost`.

    Raises:
        MissingExtraError, RunDirectoryError: see `watch_run`.
    """
    _require_packages()
    return _app(_Source(RunDirectory.existing(run).path), hosts)


@final
class _Source:
    """What all pages of one run share: its directory, its graph as it is drawn, and who is looking."""

    def __init__(self, path: RunPath) -> None:
        self.path = run_path(path)
        self.states: dict[int, str] = {}  # of the pages that are open
        self.reloading = 0  # pages that were told to load themselves again, and have not
        self.stopping: Callable[[], bool] = lambda: False
        self._drawing: tuple[Drawing | None] | None = None
        self._pages: dict[str, PageFacts] = {}
        self._foreseen: Foreseen | None = None
        self._judged: tuple[int, dict[str, Any]] = (0, {})
        self._due = time.monotonic() + _RESTING
        self._lock = threading.Lock()

    def page(self) -> str:
        """The page as it is now."""
        with self._lock:  # one at a time: of a large run it takes seconds and memory
            facts, text = self._read()
            self._pages[facts.state] = facts
            return text

    def feed(self, state: str, after: int) -> Feed:
        """The events of a page, whatever server it was loaded from."""
        with self._lock:
            if state not in self._pages:
                facts, _ = self._read()
                self._pages[facts.state] = facts
                state = state if state in self._pages else facts.state
            return Feed(self.path, self._pages[state], after)

    def standing(self, told: int) -> tuple[int, dict[str, Any]] | None:
        """Number of records, and how the run stands after them; None if it is known to those who know `told` records.

        Worked out anew every ten seconds at most, and less often where that takes long.
        """
        with self._lock:
            if time.monotonic() >= self._due and not _has_ended(self.path):
                begun = time.monotonic()
                view = read_run(self.path)
                if not view.ended and len(view.run) > self._judged[0]:
                    self._judged = len(view.run), judged(view, judge(view, self._foresee(view)))
                took = time.monotonic() - begun
                self._due = time.monotonic() + max(_RESTING, 30 * took)
            return self._judged if self._judged[0] > told else None

    def _foresee(self, view: RunView) -> Foreseen:
        if self._foreseen is None:
            self._foreseen = foresee(view.experiment)
        return self._foreseen

    def _read(self) -> tuple[PageFacts, str]:
        state = state_of(self.path)  # before what it tells of
        view = read_run(self.path)
        if self._drawing is None or (self._drawing[0] is None and view.names):
            self._drawing = (draw_plan(view),)
        drawing = self._drawing[0]
        standing = None if view.ended else judge(view, self._foresee(view))
        sheets = read_sheets(self.path)
        facts = PageFacts(
            records=len(view.run),
            state=state,
            sheet=sheets[-1].time if sheets else -1.0,
            names=view.names if len(view.player_rows) else (),
            drawing=drawing,
            floors={} if standing is None else dict(standing.floors),
            ended=view.ended,
        )
        return facts, run_page(view, drawing, standing, live=f"events?after={facts.records}&state={state}")


def _app(source: _Source, hosts: tuple[str, ...]) -> Any:
    import anyio
    from sse_starlette import EventSourceResponse
    from starlette.applications import Starlette
    from starlette.middleware import Middleware
    from starlette.middleware.trustedhost import TrustedHostMiddleware
    from starlette.requests import Request
    from starlette.responses import HTMLResponse, PlainTextResponse, Response
    from starlette.routing import Route

    async def page(request: Request) -> Response:
        try:
            text = await asyncio.to_thread(source.page)
        except (ValueError, OSError) as error:
            return PlainTextResponse(f"{error}\n", 503, headers=_HEADERS)
        return HTMLResponse(text, headers=_HEADERS)

    async def events(request: Request) -> Response:
        after = request.headers.get("last-event-id") or request.query_params.get("after", "")
        if not (after.isascii() and after.isdigit()):
            return PlainTextResponse("after is a number of records\n", 400, headers=_HEADERS)
        feed = await asyncio.to_thread(source.feed, request.query_params.get("state", ""), int(after))
        stopping = anyio.Event()
        return EventSourceResponse(
            _told(source, feed, request.query_params.get("state", ""), int(after), stopping),
            headers=_HEADERS,
            ping=15,
            shutdown_event=stopping,
            shutdown_grace_period=2,
        )

    return Starlette(
        routes=[Route("/", page, methods=["GET"]), Route("/events", events, methods=["GET"])],
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=[*_LOOPBACK, *hosts], www_redirect=False)],
    )


async def _told(source: _Source, feed: Feed, state: str, after: int, stopping: Any) -> AsyncIterator[dict[str, str]]:
    """The events of one page as they are sent, until the page is to load itself again or the server stops."""
    key, judged_at = id(feed), after
    source.states[key] = state
    source.reloading = max(0, source.reloading - 1)
    try:
        while True:
            try:
                found = await asyncio.to_thread(feed.read)
                news = await asyncio.to_thread(source.standing, judged_at)
                if news is not None:
                    judged_at = news[0]
                    found.append(("standing", news[1]))
            except (ValueError, OSError):
                found = [("reload", {})]  # which says what is wrong
            for name, value in found:
                number = {"id": str(value["records"])} if name == "records" else {}
                yield {"event": name, "data": json.dumps(value, allow_nan=False, separators=(",", ":")), **number}
                if name == "reload":
                    source.reloading += 1
                    return
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_EVERY if is_local(source.path) else _EVERY_REMOTE):
                    await stopping.wait()
            if stopping.is_set() or source.stopping():
                yield {"event": "bye", "data": "{}"}
                return
    finally:
        source.states.pop(key, None)


async def _serve(
    server: Any, listening: socket.socket, source: _Source, until_end: bool, on_start: Callable[[], None]
) -> None:
    async def announce() -> None:
        while not server.started:
            await asyncio.sleep(0.01)
        on_start()

    tasks = [asyncio.create_task(announce())]
    if until_end:
        tasks.append(asyncio.create_task(_stop_at_end(server, source)))
    try:
        await server.serve(sockets=[listening])
    finally:
        for task in tasks:
            task.cancel()


async def _stop_at_end(server: Any, source: _Source) -> None:
    """Stops the server once the run's results are there, and all open pages show them or half a minute is over."""
    state = ""
    while not _has_ended(source.path) or state != (state := await asyncio.to_thread(state_of, source.path)):
        await asyncio.sleep(4 * _EVERY)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_LINGER):
            await asyncio.sleep(2 * _EVERY)
            while source.reloading or any(shown != state for shown in source.states.values()):
                await asyncio.sleep(_EVERY)
    server.should_exit = True


def _has_ended(path: RunPath) -> bool:
    return (path / "players.json").is_file()


def _require_packages() -> None:
    missing = [name for module, name in _PACKAGES.items() if find_spec(module) is None]
    if missing:
        raise MissingExtraError(
            f"a live view needs the package {missing[0]}, which is not installed; "
            'install the extra: pip install "nashgossip[watch]"'
        )
