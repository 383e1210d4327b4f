"""What the outbox promises, on both databases."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from datetime import timedelta
from itertools import chain

import pytest
from sqlalchemy import Connection

from spendwatch.domain.delivery import DeliveryId, DeliveryState, Loudness
from spendwatch.domain.errors import LedgerUnavailableError
from spendwatch.domain.notification import Delivery
from spendwatch.domain.policy import ChannelName
from spendwatch.domain.review import Verdict
from spendwatch.store.alert_book import AlertBook
from spendwatch.store.database import Database
from spendwatch.store.opening import open_database
from spendwatch.store.outbox import Outbox
from store_builders import FINANCE, NOON, alert, matter, notification

OPS = ChannelName("ops")
HOUR = timedelta(hours=1)


@pytest.fixture
def outbox(database: Database) -> Outbox:
    return Outbox(database)


def put(database: Database, *labels: str, channel: ChannelName = FINANCE, hours: int = 0) -> None:
    """Write down a delivery for each label."""
    fired = [alert(matter(label)) for label in labels]
    told = tuple(notification(one, channels=(channel,)) for one in fired)
    AlertBook(database).commit(Verdict(tuple(fired), told), {channel: ("a@example.com",)}, now=NOON + hours * HOUR)


def the_one(outbox: Outbox) -> Delivery:
    (only,) = outbox.listing()
    return only


def labels(deliveries: object) -> list[str]:
    assert isinstance(deliveries, tuple)
    return [one.notification.facts.threshold for one in deliveries]


def test_what_is_claimed_is_being_attempted_and_counted(database: Database, outbox: Outbox) -> None:
    put(database, "80%")
    (claimed,) = outbox.claim(FINANCE, NOON, 10)
    assert (claimed.state, claimed.attempts, claimed.rendered) == (DeliveryState.ATTEMPTING, 1, None)
    assert claimed.notification == notification(alert(matter("80%")), channels=(FINANCE,))
    assert the_one(outbox) == claimed
    assert outbox.claim(FINANCE, NOON + HOUR, 10) == ()


def test_only_what_is_due_on_the_channel_is_claimed_oldest_first(database: Database, outbox: Outbox) -> None:
    put(database, "third", hours=-1)
    put(database, "first", hours=-3)
    put(database, "second", hours=-2)
    put(database, "elsewhere", channel=OPS)
    assert labels(outbox.claim(FINANCE, NOON, 2)) == ["first", "second"]
    (third,) = outbox.claim(FINANCE, NOON, 2)
    assert labels((third,)) == ["third"]
    outbox.retry(third.id, at=NOON + HOUR, why="later")
    outbox.write_down()
    assert outbox.claim(FINANCE, NOON, 2) == ()
    assert outbox.due()[OPS, Loudness.WARNING] == NOON
    assert labels(outbox.claim(OPS, NOON, 2)) == ["elsewhere"]
    assert outbox.due()[FINANCE, Loudness.WARNING] == NOON + HOUR


def test_a_channel_that_carries_none_for_now_claims_none_of_what_is_in_line(database: Database, outbox: Outbox) -> None:
    put(database, "first", "second", "third")
    assert len(outbox.claim(FINANCE, NOON, 1)) == 1
    assert outbox.claim(FINANCE, NOON, 0) == ()
    assert len(outbox.claim(FINANCE, NOON, 5)) == 2


def test_a_delivered_copy_is_settled_for_ever(database: Database, outbox: Outbox) -> None:
    put(database, "80%")
    (claimed,) = outbox.claim(FINANCE, NOON, 10)
    outbox.settle(claimed.id, at=NOON + HOUR)
    outbox.write_down()
    assert (the_one(outbox).state, the_one(outbox).settled_at) == (DeliveryState.DELIVERED, NOON + HOUR)
    outbox.retry(claimed.id, at=NOON, why="too late")
    outbox.write_down()
    outbox.settle(claimed.id, at=NOON, why="too late")
    outbox.write_down()
    assert outbox.take_up() == 0
    assert the_one(outbox).state is DeliveryState.DELIVERED
    assert outbox.due() == {}


def test_a_postponed_copy_is_due_again_then_and_sends_the_same_bytes(database: Database, outbox: Outbox) -> None:
    put(database, "80%")
    (claimed,) = outbox.claim(FINANCE, NOON, 10, render=lambda _: b"\0the letter\xff")
    assert claimed.rendered == the_one(outbox).rendered == b"\0the letter\xff"
    outbox.retry(claimed.id, at=NOON + HOUR, why="451 later")
    outbox.write_down()
    assert the_one(outbox).last_error == "451 later"
    assert outbox.claim(FINANCE, NOON + HOUR - timedelta(seconds=1), 10) == ()
    assert outbox.take_up() == 0
    (again,) = outbox.claim(FINANCE, NOON + HOUR, 10)
    assert (again.id, again.attempts, again.rendered) == (claimed.id, 2, b"\0the letter\xff")
    assert not again.maybe_repeated


def test_what_was_cancelled_while_its_bytes_were_made_is_not_claimed(database: Database, outbox: Outbox) -> None:
    put(database, "80%")

    def too_late(delivery: Delivery) -> bytes:
        outbox.cancel(delivery.id, now=NOON)
        return b"too late"

    assert outbox.claim(FINANCE, NOON, 10, render=too_late) == ()
    assert (the_one(outbox).state, the_one(outbox).rendered) == (DeliveryState.CANCELLED, None)


def test_what_another_one_tried_while_its_bytes_were_made_is_not_claimed(database: Database, outbox: Outbox) -> None:
    put(database, "80%")
    other = Outbox(database)

    def too_late(delivery: Delivery) -> bytes:
        other.claim(FINANCE, NOON, 10, render=lambda _: b"the letter")
        other.retry(delivery.id, at=NOON, why="451 not now")
        other.write_down()
        return b"another letter"

    assert outbox.claim(FINANCE, NOON, 10, render=too_late) == ()
    (again,) = outbox.claim(FINANCE, NOON, 10, render=too_late)
    assert (again.attempts, again.rendered) == (2, b"the letter")


def test_a_dead_copy_says_why(database: Database, outbox: Outbox) -> None:
    put(database, "80%")
    (claimed,) = outbox.claim(FINANCE, NOON, 10)
    outbox.settle(claimed.id, at=NOON + HOUR, why="550 no such user\0")
    outbox.write_down()
    dead = the_one(outbox)
    assert (dead.state, dead.last_error) == (DeliveryState.DEAD, "550 no such user\\x00")
    assert outbox.dead_since(NOON + HOUR) == {(FINANCE, "a@example.com"): "550 no such user\\x00"}
    assert outbox.dead_since(NOON + HOUR * 2) == {}


def test_after_a_start_what_was_being_attempted_is_tried_again_and_marked_if_it_may_have_been_sent(
    database: Database, outbox: Outbox
) -> None:
    put(database, "first", "second", "third")
    (first,) = outbox.claim(FINANCE, NOON, 1, render=lambda _: b"the letter")
    (second,) = outbox.claim(FINANCE, NOON, 1)
    database.lock_for_life()
    started = Outbox(database)
    assert started.take_up() == 2
    again = {one.id: one for one in started.claim(FINANCE, NOON, 10)}
    assert len(again) == 3
    assert (again[first.id].maybe_repeated, again[first.id].attempts) == (True, 2)
    assert (again[second.id].maybe_repeated, again[second.id].attempts) == (False, 2)
    outbox.settle(first.id, at=NOON)  # by the dead one: the attempt is another's now
    outbox.write_down()
    assert {one.state for one in started.listing()} == {DeliveryState.ATTEMPTING}


def test_the_claims_of_another_run_are_left_alone_by_who_cannot_know_that_it_is_dead(
    database: Database, outbox: Outbox
) -> None:
    put(database, "80%")
    assert outbox.claim(FINANCE, NOON, 1)
    other = Outbox(database)
    assert (other.take_up(), other.claim(FINANCE, NOON, 1)) == (0, ())


def test_what_was_claimed_and_never_sent_is_due_again_unmarked_and_uncounted(database: Database, outbox: Outbox) -> None:
    put(database, "sent", "never sent", "settled")
    claimed = {one.notification.facts.threshold: one.id for one in outbox.claim(FINANCE, NOON, 3)}
    outbox.retry(claimed["settled"], at=NOON + HOUR, why="451 later")
    outbox.write_down()
    outbox.release(claimed.values(), begun={claimed["sent"], claimed["settled"]})
    again = {one.notification.facts.threshold: one for one in outbox.claim(FINANCE, NOON, 10)}
    assert again.keys() == {"sent", "never sent"}
    assert (again["sent"].attempts, again["sent"].maybe_repeated) == (2, True)
    assert (again["never sent"].attempts, again["never sent"].maybe_repeated) == (1, False)


def test_what_is_being_attempted_is_not_taken_up(database: Database, outbox: Outbox) -> None:
    put(database, "80%")
    assert outbox.claim(FINANCE, NOON, 1)
    assert (outbox.take_up(), outbox.claim(FINANCE, NOON + 99 * HOUR, 1)) == (0, ())


def test_a_clock_that_was_ahead_puts_nothing_off(database: Database, outbox: Outbox) -> None:
    put(database, "tried", hours=8)
    (tried,) = outbox.claim(FINANCE, NOON + 8 * HOUR, 10)
    outbox.retry(tried.id, at=NOON + 8 * HOUR + timedelta(seconds=5), why="503 no")
    outbox.write_down()
    put(database, "never tried", hours=8)
    assert labels(outbox.claim(FINANCE, NOON, 10)) == ["never tried", "tried"]


def test_several_claimers_never_get_the_same_copy(place: str, database: Database) -> None:
    put(database, *(str(number) for number in range(60)))

    def claim_all(_: int) -> list[Delivery]:
        mine = open_database(place)
        try:
            outbox = Outbox(mine)
            return list(chain.from_iterable(iter(lambda: outbox.claim(FINANCE, NOON, 7), ())))
        finally:
            mine.close()

    with ThreadPoolExecutor(3) as pool:
        claimed = [one.id for found in pool.map(claim_all, range(3)) for one in found]
    assert len(claimed) == len(set(claimed)) == 60


def test_a_dead_copy_can_be_requeued_by_hand(database: Database, outbox: Outbox) -> None:
    put(database, "80%")
    (claimed,) = outbox.claim(FINANCE, NOON, 10)
    outbox.settle(claimed.id, at=NOON, why="550 no")
    outbox.write_down()
    assert outbox.requeue(claimed.id, now=NOON + HOUR) == 1
    (again,) = outbox.find(claimed.id[:10])
    assert (again.state, again.attempts, again.due_at) == (DeliveryState.PENDING, 0, NOON + HOUR)
    assert (again.settled_at, again.last_error) == (None, "requeued by operator; before: 550 no")


def test_a_waiting_copy_can_be_made_due_by_hand_and_keeps_its_attempts(database: Database, outbox: Outbox) -> None:
    put(database, "80%")
    (claimed,) = outbox.claim(FINANCE, NOON, 10)
    outbox.retry(claimed.id, at=NOON + 9 * HOUR, why="451 later")
    outbox.write_down()
    assert outbox.requeue(claimed.id, now=NOON + HOUR) == 1
    (again,) = outbox.find(claimed.id)
    assert (again.state, again.attempts, again.due_at) == (DeliveryState.PENDING, 1, NOON + HOUR)
    assert again.last_error == "451 later"


def test_a_copy_that_arrived_or_is_being_attempted_is_not_requeued(database: Database, outbox: Outbox) -> None:
    put(database, "80%")
    (claimed,) = outbox.claim(FINANCE, NOON, 10)
    assert (outbox.requeue(claimed.id, now=NOON + HOUR), the_one(outbox)) == (0, claimed)
    outbox.settle(claimed.id, at=NOON)
    outbox.write_down()
    assert outbox.requeue(claimed.id, now=NOON + HOUR) == 0
    assert the_one(outbox).state is DeliveryState.DELIVERED


def test_a_pending_copy_can_be_cancelled_by_hand(database: Database, outbox: Outbox) -> None:
    put(database, "80%")
    assert outbox.cancel(the_one(outbox).id, now=NOON) == 1
    cancelled = the_one(outbox)
    assert (cancelled.state, cancelled.settled_at) == (DeliveryState.CANCELLED, NOON)
    assert cancelled.last_error == "cancelled by operator"
    assert outbox.claim(FINANCE, NOON + HOUR, 10) == ()
    assert (outbox.cancel(cancelled.id, now=NOON + HOUR), the_one(outbox)) == (0, cancelled)


def test_a_copy_cancelled_while_being_attempted_says_that_it_may_have_arrived(database: Database, outbox: Outbox) -> None:
    put(database, "80%")
    (claimed,) = outbox.claim(FINANCE, NOON, 10)
    outbox.cancel(claimed.id, now=NOON)
    cancelled = the_one(outbox)
    outbox.settle(claimed.id, at=NOON)
    outbox.write_down()
    assert the_one(outbox) == cancelled
    assert (cancelled.state, cancelled.maybe_repeated) == (DeliveryState.CANCELLED, True)
    assert cancelled.last_error == "cancelled by operator while being attempted: it may have arrived"


def test_an_id_is_found_by_its_beginning_and_nothing_by_none(database: Database, outbox: Outbox) -> None:
    put(database, *(str(number) for number in range(40)))
    shared = next(one.id[0] for one in outbox.listing() if sum(other.id[0] == one.id[0] for other in outbox.listing()) > 1)
    assert {one.id[0] for one in outbox.find(shared)} == {shared}
    assert (outbox.find(""), outbox.find("%")) == ((), ())
    assert [outbox.cancel(DeliveryId(some), now=NOON) for some in (shared, "", "%")] == [0, 0, 0]
    assert outbox.counts() == {(FINANCE, DeliveryState.PENDING): 40}


def test_deliveries_are_listed_and_counted_by_state(database: Database, outbox: Outbox) -> None:
    put(database, "old", hours=-2)
    put(database, "new", hours=-1)
    put(database, "elsewhere", channel=OPS, hours=-3)
    (claimed,) = outbox.claim(FINANCE, NOON, 1)
    outbox.settle(claimed.id, at=NOON, why="no")
    outbox.write_down()
    assert labels(outbox.listing()) == ["new", "old", "elsewhere"]
    assert labels(outbox.listing([DeliveryState.DEAD])) == ["old"]
    assert labels(outbox.listing(limit=1)) == ["new"]
    assert labels(outbox.find(claimed.id[:6])) == ["old"]
    assert outbox.counts() == {
        (FINANCE, DeliveryState.DEAD): 1,
        (FINANCE, DeliveryState.PENDING): 1,
        (OPS, DeliveryState.PENDING): 1,
    }


def test_an_outcome_that_could_not_be_written_down_is_not_forgotten(database: Database, outbox: Outbox) -> None:
    """Else a mail that was accepted would stay "being attempted" until a restart, and be sent again after it."""
    put(database, "80%", "90%")
    claimed = outbox.claim(FINANCE, NOON, 10)
    with database.writing() as connection:
        connection.exec_driver_sql("ALTER TABLE delivery RENAME TO delivery_away")
    for one in claimed:
        outbox.settle(one.id, at=NOON)
        with pytest.raises(Exception, match="delivery"):
            outbox.write_down()
    with database.writing() as connection:
        connection.exec_driver_sql("ALTER TABLE delivery_away RENAME TO delivery")
    assert outbox.claim(FINANCE, NOON, 10) == ()
    assert outbox.counts() == {(FINANCE, DeliveryState.DELIVERED): 2}


@contextmanager
def loses_the_answer(writing: Callable[[], AbstractContextManager[Connection]]) -> Iterator[Connection]:
    """Commit, and then lose the answer on the line."""
    with writing() as connection:
        yield connection
    msg = "the line was cut"
    raise LedgerUnavailableError(msg)


def test_a_claim_whose_answer_was_lost_is_undone_before_the_next(database: Database) -> None:
    put(database, "80%")
    outbox = Outbox(database)
    real = database.writing
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(database, "writing", lambda: loses_the_answer(real))
        with pytest.raises(LedgerUnavailableError):
            outbox.claim(FINANCE, NOON, 10)
    assert the_one(outbox).state is DeliveryState.ATTEMPTING
    (claimed,) = outbox.claim(FINANCE, NOON, 10)
    assert (claimed.attempts, claimed.maybe_repeated) == (1, False)


def test_what_waits_for_a_channel_or_recipient_that_is_gone_is_found_and_turned_away(
    database: Database, outbox: Outbox
) -> None:
    put(database, "well")
    put(database, "gone", channel=OPS)
    here = {FINANCE: ("a@example.com",)}
    assert labels(outbox.waiting(here)) == ["gone"]
    assert sorted(labels(outbox.waiting({FINANCE: ("b@example.com",)}))) == sorted(labels(outbox.waiting())) == ["gone", "well"]
    outbox.turn_away([one.id for one in outbox.waiting(here)], DeliveryState.CANCELLED, now=NOON, why="gone")
    assert (outbox.waiting(here), outbox.dead_since(NOON)) == ((), {})
    assert outbox.counts() == {(FINANCE, DeliveryState.PENDING): 1, (OPS, DeliveryState.CANCELLED): 1}


def test_what_is_being_sent_is_turned_away_by_nobody(database: Database, outbox: Outbox) -> None:
    put(database, "80%")
    (claimed,) = outbox.claim(FINANCE, NOON, 1)
    assert outbox.waiting() == ()
    outbox.turn_away([claimed.id], DeliveryState.DEAD, now=NOON, why="gone")
    assert the_one(outbox).state is DeliveryState.ATTEMPTING


def test_what_was_given_up_is_due_again_where_its_channel_works_or_after_a_day(database: Database, outbox: Outbox) -> None:
    put(database, "80%")
    (claimed,) = outbox.claim(FINANCE, NOON, 10)
    outbox.settle(claimed.id, at=NOON, why="550 no")
    outbox.write_down()
    ways = [(claimed.notification, {FINANCE: ("a@example.com", "b@example.com")})]
    assert outbox.offer(ways, again=(), before=NOON, now=NOON) == 1
    assert {one.target: one.state for one in outbox.listing()} == {
        "a@example.com": DeliveryState.DEAD,
        "b@example.com": DeliveryState.PENDING,
    }
    assert outbox.offer(ways, again=(), before=NOON, now=NOON) == 0
    assert outbox.offer(ways, again=(OPS,), before=NOON, now=NOON) == 0
    assert outbox.offer(ways, again=(), before=NOON + timedelta(seconds=1), now=NOON + HOUR) == 1
    (again,) = (one for one in outbox.listing() if one.id == claimed.id)
    assert (again.state, again.attempts, again.due_at, again.settled_at) == (DeliveryState.PENDING, 0, NOON + HOUR, None)
    assert again.last_error == "retried because nobody could be notified; before: 550 no"


def test_an_alert_whose_every_copy_died_is_undelivered_until_one_arrives(database: Database, outbox: Outbox) -> None:
    book = AlertBook(database)
    fired, unspoken = alert(matter("80%")), alert(matter("50%"))
    told = notification(fired, channels=(FINANCE, OPS))
    nowhere = notification(unspoken, channels=())
    book.commit(Verdict((fired, unspoken), (told, nowhere)), {FINANCE: ("a@example.com",), OPS: ("",)}, now=NOON)
    assert [one.id for one in book.undelivered()] == [nowhere.id]
    claimed, other = (outbox.claim(channel, NOON, 1)[0] for channel in (OPS, FINANCE))
    for copy in (claimed, other):
        assert told.id not in [one.id for one in book.undelivered()]
        outbox.settle(copy.id, at=NOON, why="550 no")
        outbox.write_down()
    assert {one.id for one in book.undelivered()} == {nowhere.id, told.id}
    assert book.notified([fired.id]) == {}
    outbox.requeue(claimed.id, now=NOON)
    assert book.undelivered() == (nowhere,)
    outbox.claim(OPS, NOON, 1)
    outbox.settle(claimed.id, at=NOON)
    outbox.write_down()
    assert (book.undelivered(), book.notified([fired.id])) == ((nowhere,), {fired.id: 1})


def test_a_probe_lets_no_word_overtake_one_that_failed(database: Database, outbox: Outbox) -> None:
    put(database, "first")
    (first,) = outbox.claim(FINANCE, NOON, 1)
    outbox.retry(first.id, at=NOON, why="500")
    outbox.write_down()
    put(database, "second", hours=1)
    assert labels(outbox.claim(FINANCE, NOON + 2 * HOUR, 1, is_probe=True)) == ["first"]


def test_everything_of_some_channels_is_requeued_or_cancelled_and_what_arrived_is_left_alone(
    database: Database, outbox: Outbox
) -> None:
    put(database, "arrived", "dead", "waiting", "going")
    put(database, "elsewhere", channel=OPS)
    by_label = {one.notification.facts.threshold: one.id for one in outbox.claim(FINANCE, NOON, 10)}
    outbox.settle(by_label["arrived"], at=NOON)
    outbox.settle(by_label["dead"], at=NOON, why="550 no such user")
    outbox.retry(by_label["waiting"], at=NOON + HOUR, why="451 later")
    outbox.write_down()
    assert outbox.requeue(channels=[FINANCE], now=NOON) == 2
    states = {one.notification.facts.threshold: (one.state, one.due_at) for one in outbox.listing()}
    pending = (DeliveryState.PENDING, NOON)
    assert [states[name] for name in ("dead", "waiting", "elsewhere")] == [pending] * 3
    assert (states["arrived"][0], states["going"][0]) == (DeliveryState.DELIVERED, DeliveryState.ATTEMPTING)
    assert outbox.cancel(channels=[FINANCE], now=NOON + HOUR) == 3
    assert outbox.cancel(channels=[FINANCE], now=NOON + HOUR) == 0
    ended = {one.notification.facts.threshold: (one.state, one.maybe_repeated) for one in outbox.listing()}
    cancelled = DeliveryState.CANCELLED
    assert [ended[name] for name in ("dead", "waiting", "going")] == [(cancelled, False), (cancelled, False), (cancelled, True)]
    assert [ended[name][0] for name in ("arrived", "elsewhere")] == [DeliveryState.DELIVERED, DeliveryState.PENDING]
