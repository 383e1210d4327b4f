"""When the jobs run: stops cleanly on SIGTERM, reloads on SIGHUP, polls now on SIGUSR1."""

from __future__ import annotations

import asyncio
import gc
import signal
from collections.abc import Awaitable, Callable, Coroutine
from datetime import UTC, datetime, timedelta
from functools import partial

import structlog
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.base import BaseTrigger

from spendwatch.app import App
from spendwatch.domain.count import counted
from spendwatch.domain.errors import LedgerUnavailableError
from spendwatch.heartbeat import Heartbeat
from spendwatch.jobs.deliver import TERM, Settled
from spendwatch.jobs.pings import EVERY as PING_EVERY
from spendwatch.state import clock_offset, system_clock

log = structlog.get_logger("spendwatch")

ASSESS_EVERY = timedelta(seconds=30)
"""Time alone can make a condition true: a source goes stale, a month ends, a reminder is due."""

BALANCES_EVERY = timedelta(seconds=30)
"""How often it is looked which balance is to be asked for; each has a pace of its own."""

DELIVER_EVERY = timedelta(seconds=2)
"""How often retries are looked for. New notifications do not wait for it."""

ALARM_EVERY = timedelta(seconds=2)
"""How often to check whether a failure of the ledger must be reported."""

TIDY_EVERY = timedelta(hours=6)
"""How often the ledger is looked through for damage, and for what is to be kept no longer."""

BEAT_EVERY = timedelta(seconds=15)
"""How often the heartbeat file is touched where systemd does not ask for more."""

WATCH_EVERY = timedelta(seconds=1)
"""How often the wall clock is compared with the steady one."""

STEP = timedelta(seconds=2)
"""From so much on the wall clock did not drift but was set."""

PATIENCE = timedelta(minutes=5)
"""How long a round of a job may take before the heartbeat stops. Long bills and long downloads report progress."""

BILL_GRACE = timedelta(seconds=3)
"""How long a stop waits for a bill that is being read; after that it is left for the next start."""

DRAIN = timedelta(seconds=30)
"""How long a stop waits for work in progress. What is cut off then is repeated after the start, under the same id."""


COLLECT_AFTER = (5_000, 10, 10)
"""Thresholds of the garbage collector: each query leaves some garbage, and the memory in which it waits is not given back."""


def keep_for_life() -> None:
    """Let the collector of garbage leave alone all there is now, which takes it 50 ms, and look soon at what comes."""
    gc.freeze()
    gc.set_threshold(*COLLECT_AFTER)


class Every(BaseTrigger):  # type: ignore[misc]  # APScheduler has no types
    """An interval. Of the runs that a clock set ahead seems to have missed it names one: a month has millions of seconds."""

    def __init__(self, interval: timedelta) -> None:
        """Run that often."""
        self.interval = interval

    def get_next_fire_time(self, previous: datetime | None, now: datetime) -> datetime:
        """Return the next time: one interval after the last, or after now where that is past."""
        planned = (previous or now) + self.interval
        return planned if planned > now else now + self.interval


class Daemon:
    """Runs an app's jobs until it is stopped."""

    def __init__(self, app: App, heartbeat: Heartbeat) -> None:
        """Take the app and the one who says that we live."""
        self._app = app
        self._heartbeat = heartbeat
        self._stop = asyncio.Event()
        self._running: set[asyncio.Task[None]] = set()
        self._busy: set[str] = set()
        self._again: set[str] = set()
        """Jobs that were wanted at once while they were at work: they may have looked already."""
        self._planned: set[str] = set()
        self._scheduler: AsyncIOScheduler | None = None
        self._interrupts = 0

    async def run(self) -> None:
        """Run until SIGTERM or SIGINT; a second SIGINT leaves at once."""
        loop = asyncio.get_running_loop()
        for number, answer in (
            (signal.SIGTERM, self._stop.set),
            (signal.SIGINT, self._interrupted),
            (signal.SIGHUP, self._reload),
            (signal.SIGUSR1, self._look_now),
        ):
            loop.add_signal_handler(number, answer)
        self._app.on_news = partial(loop.call_soon_threadsafe, self._deliver_now)
        app = self._app
        app.on_answer = lambda source: self._heartbeat.progress(f"collect:{source}")
        app.on_settled = self._settled
        app.vitals.late, app.vitals.reload = self._heartbeat.late, self._reloading
        try:
            app.store.health.reading_ended()
            app.clock_watch.check()
            app.beat()
            app.store.health.retry_channels(app.channels.keys())
            if recovered := app.store.outbox.take_up():
                log.warning("deliveries_recovered", count=recovered)
        except LedgerUnavailableError as error:  # ending here would notify nobody
            app.alarm.failed("assess", error)
            log.error("start_incomplete", why=str(error))  # noqa: TRY400 -- as above
        self._plan()
        keep_for_life()
        self._heartbeat.ready(self._status())
        log.info("daemon_ready", sources=sorted(app.sources), channels=sorted(app.channels))
        watches = asyncio.create_task(self._beat()), asyncio.create_task(self._watch_clock())
        await self._stop.wait()
        for watch in watches:
            watch.cancel()
        await self._drain()

    def _plan(self) -> None:
        scheduler = AsyncIOScheduler(timezone=UTC)
        scheduler.configure(job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None})
        self._add(scheduler, "assess", self._assess, ASSESS_EVERY)
        self._add(scheduler, "tidy", lambda: asyncio.to_thread(self._app.tidy), TIDY_EVERY)
        if self._app.settings.pings:
            self._add(scheduler, "ping", self._ping, PING_EVERY)
        self._add(scheduler, "alarm", self._app.tell_ledger_trouble, ALARM_EVERY)
        for source, config in self._app.settings.sources.items():
            self._add(scheduler, f"collect:{source}", partial(self._app.gather, source), config.poll, step=config.longest_step)
        if polls := self._app.balance_rounds.polls:
            self._add(scheduler, "balances", self._ask_balances, min(BALANCES_EVERY, *polls))
        for channel in self._app.channels:
            self._add(scheduler, f"deliver:{channel}", partial(self._app.deliver, channel), DELIVER_EVERY, step=TERM)
        scheduler.start()
        if self._scheduler:
            self._scheduler.shutdown(wait=False)
        self._scheduler = scheduler

    def _add(
        self,
        scheduler: AsyncIOScheduler,
        name: str,
        work: Callable[[], Awaitable[object]],
        every: timedelta,
        *,
        step: timedelta = timedelta(0),
    ) -> None:
        """Plan a job; `step` is how long it may take to get a step further, where that is longer than usual."""
        self._heartbeat.expect(name, within=max(every * 10, PATIENCE + step))
        self._planned.add(name)

        async def job() -> None:
            # Not awaited: a scheduler breaks off what it waits for, and each reload replaces it.
            self._start(self._once_at_a_time(name, work))

        # An interval job first runs one interval after its start: look at once, then by the trigger.
        scheduler.add_job(job, Every(every), id=name, next_run_time=system_clock())

    async def _once_at_a_time(self, name: str, work: Callable[[], Awaitable[object]]) -> None:
        if name in self._busy or self._stop.is_set():
            return
        self._busy.add(name)
        try:
            is_wanted = True
            while is_wanted and not self._stop.is_set():
                self._again.discard(name)
                with self._app.vitals.round(name):
                    await work()
                self._heartbeat.progress(name)
                self._app.alarm.worked(name)
                is_wanted = name in self._again
        except LedgerUnavailableError as error:
            self._app.alarm.failed(name, error)
            self._heartbeat.progress(name)  # a restart would not help, and would notify nobody
            log.error("job_failed", job=name, why=str(error))  # noqa: TRY400 -- a traceback would add nothing
        except Exception as error:  # a failed job is reported and retried at its next time; the others go on
            self._app.alarm.failed(name, error)
            log.exception("job_failed", job=name)
        finally:
            self._again.discard(name)
            self._busy.discard(name)

    async def _assess(self) -> None:
        await asyncio.to_thread(self._app.assess)
        await asyncio.to_thread(self._app.beat)
        self._heartbeat.status(self._status())

    async def _ping(self) -> None:
        self._heartbeat.progress("ping")
        late = ", ".join(self._heartbeat.late())
        failing = f"no progress: {late}" if late else self._app.alarm.trouble
        await self._app.ping(failing=failing, is_proven=self._heartbeat.is_proven())

    async def _ask_balances(self) -> None:
        asked = await self._app.ask_balances()
        if any(one.is_news for one in asked):
            await asyncio.to_thread(self._app.assess)

    def _settled(self, settled: Settled) -> None:
        self._heartbeat.progress(f"deliver:{settled.delivery.channel}")
        if settled.why and settled.final:
            self._trigger_now("assess")  # somebody is to hear of what died

    def _deliver_now(self) -> None:
        self._trigger_now("deliver:")

    def _look_now(self) -> None:
        self._app.trigger_now()
        self._trigger_now("collect:", "balances", "assess")
        self._start(self._try_channels())

    async def _try_channels(self) -> None:
        try:
            await asyncio.to_thread(self._app.end_pauses)
        except LedgerUnavailableError as error:
            log.error("job_failed", job="deliver", why=str(error))  # noqa: TRY400 -- a traceback would add nothing
        self._deliver_now()

    def _trigger_now(self, *beginnings: str) -> None:
        if self._scheduler is None or self._stop.is_set():
            return
        for job in self._scheduler.get_jobs():
            if not job.id.startswith(beginnings):
                continue
            if job.id in self._busy:
                self._again.add(job.id)
            else:
                job.modify(next_run_time=system_clock())

    def _interrupted(self) -> None:
        self._interrupts += 1
        if self._interrupts > 1:
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            signal.raise_signal(signal.SIGINT)
        self._stop.set()

    def _reload(self) -> None:
        self._start(self._reloading())

    def _start(self, work: Coroutine[object, object, None]) -> None:
        task = asyncio.ensure_future(work)
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _reloading(self) -> None:
        self._heartbeat.reloading()
        try:
            await asyncio.to_thread(self._app.reload)
            for name in tuple(self._planned):
                self._heartbeat.dismiss(name)
            self._plan()
            await asyncio.to_thread(self._app.assess)
        except Exception:  # the daemon goes on with what it had
            log.exception("reload_failed")
        self._heartbeat.ready(self._status())

    async def _beat(self) -> None:
        pause = self._heartbeat.watchdog_interval() or BEAT_EVERY
        while True:
            if late := self._heartbeat.beat():
                log.error("progress_missing", tasks=late)
            await asyncio.sleep(pause.total_seconds())

    async def _watch_clock(self) -> None:
        """Keep the jobs at their pace when the wall clock is set, by which APScheduler goes, and note that it was."""
        before = clock_offset()
        while True:
            await asyncio.sleep(WATCH_EVERY.total_seconds())
            offset = clock_offset()
            step, before = timedelta(seconds=offset - before), offset
            if abs(step) < STEP:
                continue
            self._follow(step)
            self._trigger_now("assess", "deliver:")

    def _follow(self, step: timedelta) -> None:
        """Plan every job as if the clock had not been set: one set ahead makes jobs due, one set back would make them wait."""
        now = system_clock()
        for job in self._scheduler.get_jobs() if self._scheduler and step < timedelta() else ():
            job.modify(next_run_time=min(job.next_run_time + step, now + job.trigger.interval))

    def _status(self) -> str:
        app, policies = self._app, self._app.settings.policies
        watched = (counted(len(policies.accounts), "account"), counted(len(policies.workspaces), "workspace"))
        places = (counted(len(app.sources), "source"), counted(len(app.channels), "channel"))
        mistakes = counted(len(app.config_mistakes), "mistake")
        return f"watching {', '.join((*watched, *places))}" + (
            f"; {mistakes} in the changed configuration" if app.config_mistakes else ""
        )

    async def _drain(self) -> None:
        self._heartbeat.stopping()
        log.info("daemon_stopping", working=sorted(self._busy))
        if self._scheduler:
            self._scheduler.pause()
        self._app.stop()
        late = await _finished(self._running, within=BILL_GRACE)
        if late:
            self._app.interrupt()
        for task in await _finished(late, within=DRAIN):
            task.cancel()
        if self._scheduler:
            self._scheduler.shutdown(wait=False)
        log.info("daemon_stopped")


async def _finished(tasks: set[asyncio.Task[None]], *, within: timedelta) -> set[asyncio.Task[None]]:
    """Wait for the tasks that long, and return those that are not done."""
    waiting = {task for task in tasks if not task.done()}
    if not waiting:
        return set()
    _, late = await asyncio.wait(waiting, timeout=within.total_seconds())
    return late
