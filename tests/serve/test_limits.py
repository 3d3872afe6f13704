"""Limits of a key: what is refused, when it may come again, what is counted."""

import asyncio

import pytest

from serve.fault import Fault
from serve.keys import KeyRights, KeyStore
from serve.limits import Limiter, expected_of
from serve.usage import Ledger, report


class Clock:
    """Seconds that a test moves on."""

    def __init__(self):
        self.now_s = 1000.0

    def __call__(self):
        return self.now_s


class Desk:
    """A store, its ledger, a limiter and its clock."""

    def __init__(self, folder):
        self.path = folder / "keys.sqlite"
        self.store = KeyStore(self.path, make=True)
        self.ledger = Ledger(self.path)
        self.clock = Clock()
        self.limiter = Limiter(self.ledger, clock=self.clock)

    def holder(self, name="ada", **rights):
        return self.store.add(name, KeyRights(**rights))[0]

    def spend(self, holder, prompt=0, completion=0, **more):
        with_it = self.limiter.admit(holder, model="m", **more).begin()
        with_it.used(prompt_tokens=prompt, completion_tokens=completion)
        with_it.end()

    def refusal(self, holder, **more):
        with pytest.raises(Fault) as caught:
            self.limiter.admit(holder, **more).begin()
        assert caught.value.status == 429
        return caught.value

    def close(self):
        self.ledger.close()
        self.store.close()


@pytest.fixture
def desk(tmp_path):
    found = Desk(tmp_path)
    yield found
    found.close()


def test_requests_a_minute_are_those_of_any_sixty_seconds(desk):
    holder = desk.holder(requests_per_minute=2)
    desk.spend(holder)
    desk.clock.now_s += 40
    desk.spend(holder)
    assert desk.refusal(holder).retry_after_s == 20
    desk.clock.now_s += 19.9
    desk.refusal(holder)
    desk.clock.now_s += 0.2
    desk.spend(holder)
    assert desk.refusal(holder).retry_after_s == 40


def test_a_refused_request_does_not_count(desk):
    holder = desk.holder(requests_per_minute=1)
    desk.spend(holder)
    for _ in range(5):
        desk.clock.now_s += 10
        desk.refusal(holder)
    desk.clock.now_s += 10
    desk.spend(holder)


def test_keys_do_not_count_for_each_other_and_a_key_without_bounds_has_none(desk):
    one, other = desk.holder("ada", requests_per_minute=1), desk.holder("bob")
    desk.spend(one)
    desk.refusal(one)
    for _ in range(50):
        desk.spend(other, 1000, 1000)


def test_no_holder_has_no_bounds_and_leaves_no_record(desk):
    desk.spend(None, 10, 10)
    desk.ledger.close()
    assert report(desk.path) == []


def test_concurrent_requests_are_bounded_and_make_room_however_they_end(desk):
    holder = desk.holder(concurrent=1)

    async def one(raising):
        async with desk.limiter.admit(holder):
            assert desk.refusal(holder).retry_after_s == 1
            if raising is not None:
                raise raising

    async def all_of_them():
        await one(None)
        for error in (Fault(503, "no"), ValueError("x"), asyncio.CancelledError()):
            with pytest.raises(type(error)):
                await one(error)

    asyncio.run(all_of_them())
    assert desk.limiter.running(holder) == 0
    desk.ledger.close()
    (line,) = report(desk.path, by=())
    assert (line.requests, line.failed) == (4, 3)


def test_tokens_a_minute_count_when_they_are_known_and_leave_after_a_minute(desk):
    holder = desk.holder(tokens_per_minute=100)
    desk.spend(holder, 30, 30)
    desk.clock.now_s += 30
    desk.spend(holder, 20, 25)  # 105: the last one admitted may go beyond
    fault = desk.refusal(holder)
    assert fault.retry_after_s == 30 and "100 tokens a minute" in fault.message
    desk.clock.now_s += 30.1
    desk.spend(holder, 1, 1)


def test_tokens_that_are_expected_keep_others_out_until_they_are_known(desk):
    holder = desk.holder(tokens_per_minute=100)
    first = desk.limiter.admit(holder, expected_tokens=100).begin()
    desk.refusal(holder)
    first.used(prompt_tokens=5, completion_tokens=5)
    first.end()
    first.end()
    desk.spend(holder, expected_tokens=1000)  # more than the whole: let in while there is room
    desk.spend(holder)


def test_tokens_in_all_hold_across_a_restart(desk):
    holder = desk.holder(tokens_total=50)
    desk.spend(holder, 20, 20)
    desk.spend(holder, 10, 0)
    fault = desk.refusal(holder)
    assert fault.code == "insufficient_quota" and fault.retry_after_s is None
    desk.ledger.close()
    desk.ledger = Ledger(desk.path)
    desk.limiter = Limiter(desk.ledger, clock=desk.clock)
    desk.refusal(holder)
    other = desk.holder("bob", tokens_total=51)
    desk.spend(other, 20, 30)
    desk.spend(other, 1, 0)
    desk.refusal(other)


def test_lines_of_batches_are_no_requests_of_the_minute_but_their_tokens_count(desk):
    holder = desk.holder(requests_per_minute=1, tokens_per_minute=10)
    for _ in range(3):
        desk.spend(holder, 1, 1, of_batch=True)
    desk.spend(holder, 2, 2)
    assert "10 tokens" in desk.refusal(holder, of_batch=True).message
    assert "1 requests" in desk.refusal(holder).message


def test_headers_tell_what_is_left(desk):
    holder = desk.holder(requests_per_minute=3, tokens_per_minute=100)
    desk.spend(holder, 10, 20)
    with_it = desk.limiter.admit(holder, expected_tokens=5).begin()
    assert with_it.headers() == {
        "x-ratelimit-limit-requests": "3",
        "x-ratelimit-remaining-requests": "1",
        "x-ratelimit-limit-tokens": "100",
        "x-ratelimit-remaining-tokens": "65",
    }
    with_it.end()
    assert desk.limiter.admit(None).begin().headers() == {}


def test_keys_that_are_not_used_any_more_are_forgotten(desk):
    holders = [desk.holder(f"k{n}", requests_per_minute=5) for n in range(20)]
    for holder in holders:
        desk.spend(holder)
    desk.clock.now_s += 61
    desk.spend(holders[0])
    assert len(desk.limiter._accounts) == 1


@pytest.mark.parametrize(
    ("body", "tokens"),
    [
        ({}, 256),
        ({"prompt": "x" * 400, "max_tokens": 10}, 110),
        ({"prompt": ["x" * 40, "y" * 40], "max_tokens": 5, "n": 3}, 35),
        ({"messages": [{"role": "user", "content": "x" * 396}], "max_completion_tokens": 0}, 100),
        ({"messages": [{"role": "user", "content": [{"type": "text", "text": "x" * 392}]}]}, 356),
        ({"prompt": [1, 2, 3], "max_tokens": -1}, 0),
        ({"prompt": "abcd", "n": "many"}, 1),
        ({"input_prefix": "x" * 40, "input_suffix": "y" * 40, "n_predict": 4}, 24),
    ],
)
def test_what_a_request_may_use_is_guessed_from_its_length_and_bounds(body, tokens):
    assert expected_of(body) == tokens


def test_a_batchs_lines_leave_a_keys_concurrent_requests_alone(desk):
    holder = desk.holder(concurrent=1)
    lines = [desk.limiter.admit(holder, of_batch=True).begin() for _ in range(3)]
    with_it = desk.limiter.admit(holder).begin()
    desk.refusal(holder)
    for one in (*lines, with_it):
        one.end()
    desk.spend(holder)
