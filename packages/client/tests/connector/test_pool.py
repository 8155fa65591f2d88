"""The pool's decisions: who may use which connection, who waits, what must close."""

import random
from collections import deque

import pytest

from antiphon.client.connector._pool import (
    MAX_OVERTAKEN,
    Entry,
    Pool,
    PoolLimits,
    Waiter,
    WaiterState,
)
from antiphon.client.connector.key import ConnectionKey
from antiphon.client.options import Fingerprint


class Wire:
    """As much of a connection as a pool looks at."""

    def __init__(self, now: float = 0.0, capacity: int = 1) -> None:
        self.last_used = now
        self.keep_alive_hint: float | None = None
        self.capacity = capacity
        self.closed = False

    def free(self) -> int:
        return 0 if self.closed else self.capacity


def key(host: str = "a", port: int = 80, **more: object) -> ConnectionKey:
    return ConnectionKey(host, port, False, **more)  # type: ignore[arg-type]  # as the test says


def pool(jitter: float = 0.0, **limits: object) -> Pool:
    return Pool(PoolLimits(**limits), jitter=lambda: jitter)  # type: ignore[arg-type]  # likewise


def opened(the_pool: Pool, host_key: ConnectionKey, now: float = 0.0) -> Entry:
    """Open a connection that one request has."""
    assert the_pool.reserve(host_key)
    return the_pool.add(host_key, Wire(now), now)


def idle(the_pool: Pool, host_key: ConnectionKey, now: float = 0.0) -> Entry:
    entry = opened(the_pool, host_key, now)
    the_pool.release(entry, now)
    return entry


def sums(the_pool: Pool) -> tuple[int, int, int, int]:
    stats = the_pool.stats()
    return (stats.connecting, stats.active, stats.idle, stats.waiting)


A, B, C = key("a"), key("b"), key("c")


class TestReuse:
    def test_a_released_connection_is_given_again(self) -> None:
        p = pool()
        entry = idle(p, A)
        assert p.take(A, 1.0) is entry
        assert sums(p) == (0, 1, 0, 0)

    def test_the_most_recently_used_one_comes_first(self) -> None:
        p = pool()
        first, second = opened(p, A), opened(p, A)
        p.release(first, 0.0)
        p.release(second, 0.0)
        assert p.take(A, 0.0) is second
        assert p.take(A, 0.0) is first
        assert p.take(A, 0.0) is None

    def test_one_in_use_is_not_given(self) -> None:
        p = pool()
        opened(p, A)
        assert p.take(A, 0.0) is None

    @pytest.mark.parametrize(
        "other",
        [
            pytest.param(key("b"), id="another host"),
            pytest.param(key("a", 81), id="another port"),
            pytest.param(ConnectionKey("a", 80, True), id="TLS"),
            pytest.param(key("a", ssl=False), id="CVE-2024-35195: verification off"),
            pytest.param(key("a", ssl=Fingerprint(b"x" * 32)), id="a fingerprint"),
            pytest.param(key("a", server_hostname="z"), id="CVE-2026-54275: server_hostname"),
            pytest.param(key("a", proxy_headers=(("Proxy-Authorization", "x"),)), id="proxy login"),
        ],
    )
    def test_only_an_equal_key_shares(self, other: ConnectionKey) -> None:
        p = pool()
        idle(p, other)
        assert p.take(A, 0.0) is None

    @pytest.mark.parametrize(
        ("age", "hint", "good"),
        [
            pytest.param(14.9, None, True, id="within keepalive_timeout"),
            pytest.param(15.0, None, False, id="keepalive_timeout has passed"),
            pytest.param(3.9, 5.0, True, id="more than a second before the server's hint"),
            pytest.param(4.0, 5.0, False, id="one second before the server's hint"),
            pytest.param(0.0, 1.0, False, id="a hint of one second leaves none"),
            pytest.param(15.0, 600.0, False, id="a long hint does not prolong our own limit"),
        ],
    )
    def test_idle_connections_age(self, age: float, hint: float | None, good: bool) -> None:
        p = pool(keepalive_timeout=15.0)
        entry = idle(p, A, now=100.0)
        entry.http.keep_alive_hint = hint  # type: ignore[misc]  # a Wire's can be set
        assert (p.take(A, 100.0 + age) is entry) is good
        assert p.doomed == ([] if good else [entry])

    def test_a_closed_one_is_passed_over_for_the_next(self) -> None:
        p = pool()
        good, dead = opened(p, A), opened(p, A)
        p.release(good, 0.0)
        p.release(dead, 0.0)
        dead.http.closed = True  # type: ignore[misc]  # a Wire's can be set
        assert p.take(A, 0.0) is good
        assert p.doomed == [dead]
        assert sums(p) == (0, 1, 0, 0)

    def test_surplus_bytes_make_it_unfit_at_release(self) -> None:
        p = pool()
        entry = opened(p, A)
        entry.http.capacity = 0  # type: ignore[attr-defined]  # what free() says from now on
        p.release(entry, 0.0)
        assert p.doomed == [entry]
        assert sums(p) == (0, 0, 0, 0)

    def test_force_close_uses_each_connection_once(self) -> None:
        p = pool(force_close=True)
        entry = idle(p, A)
        assert p.doomed == [entry]

    def test_max_uses(self) -> None:
        p = pool(max_uses=2)
        entry = idle(p, A)
        assert p.take(A, 0.0) is entry
        p.release(entry, 0.0)
        assert p.doomed == [entry]

    def test_max_uses_varies_by_a_tenth(self) -> None:
        p = pool(jitter=1.0, max_uses=100)
        entry = opened(p, A)
        assert entry.max_uses == 90

    def test_max_age_counts_from_the_making(self) -> None:
        p = pool(max_age=100.0, keepalive_timeout=None)
        entry = idle(p, A, now=10.0)
        assert p.take(A, 109.0) is entry
        p.release(entry, 110.0)
        assert p.doomed == [entry]

    def test_max_age_counts_while_idle(self) -> None:
        p = pool(jitter=1.0, max_age=100.0, keepalive_timeout=None)
        entry = idle(p, A, now=0.0)
        assert p.take(A, 90.0) is None
        assert p.doomed == [entry]


class TestLimits:
    def test_no_more_than_limit(self) -> None:
        p = pool(limit=2)
        opened(p, A)
        assert p.reserve(B)
        assert not p.reserve(C)
        assert sums(p) == (1, 1, 0, 0)

    @pytest.mark.parametrize("unlimited", [0])
    def test_zero_is_any_number(self, unlimited: int) -> None:
        p = pool(limit=unlimited)
        assert all(p.reserve(A) for _ in range(1000))

    def test_an_idle_one_gives_way_the_longest_idle_first(self) -> None:
        p = pool(limit=2)
        oldest = idle(p, A, 1.0)
        idle(p, B, 2.0)
        assert p.reserve(C)
        assert p.doomed == [oldest]
        assert sums(p) == (1, 0, 1, 0)

    def test_limit_per_host(self) -> None:
        p = pool(limit_per_host=1)
        assert p.reserve(A)
        assert not p.reserve(A)
        assert p.reserve(B)

    def test_limit_per_host_counts_all_keys_of_one_endpoint(self) -> None:
        p = pool(limit_per_host=1)
        assert p.reserve(A)
        assert not p.reserve(key("a", server_hostname="other"))

    def test_idle_with_other_tls_settings_gives_way_at_the_same_endpoint(self) -> None:
        p = pool(limit_per_host=1)
        other = idle(p, key("a", server_hostname="other"))
        bystander = idle(p, B)
        assert p.reserve(A)
        assert p.doomed == [other]
        assert p.take(B, 0.0) is bystander

    @pytest.mark.parametrize(
        ("by_host", "expected"),
        [
            pytest.param({"a": 3}, 3, id="by host"),
            pytest.param({"a:80": 2, "a": 3}, 2, id="by host and port first"),
            pytest.param({"a:81": 2}, 1, id="another port"),
            pytest.param({"a": 0}, 5, id="zero is any number"),
        ],
    )
    def test_exceptions_by_host(self, by_host: dict[str, int], expected: int) -> None:
        p = pool(limit_per_host=1, limits_by_host=by_host)
        assert sum(p.reserve(A) for _ in range(5)) == expected

    def test_a_slot_that_came_to_nothing_is_free_again(self) -> None:
        p = pool(limit=1)
        assert p.reserve(A)
        p.cancel(A)
        assert p.reserve(B)

    def test_warming_does_not_close_anything(self) -> None:
        p = pool(limit=1)
        idle(p, A)
        assert not p.reserve_spare(B)
        assert not p.doomed

    def test_parked_connections_were_not_used_yet(self) -> None:
        p = pool(max_uses=1)
        assert p.reserve_spare(A)
        entry = p.park(A, Wire(), 0.0)
        assert p.idle_count(A) == 1
        assert p.take(A, 0.0) is entry

    def test_nothing_is_kept_of_hosts_that_are_gone(self) -> None:
        p = pool()
        for number in range(100):
            p.release(opened(p, key(f"h{number}")), 0.0, reusable=False)
        assert not p._groups
        assert not p._endpoints


class TestLines:
    def test_first_come_first_served(self) -> None:
        p = pool(limit=1)
        entry = opened(p, A)
        waiters = [p.wait(A, None) for _ in range(3)]
        for waiter in waiters:
            p.release(entry, 0.0)
            assert p.granted == [waiter]
            assert waiter.state is WaiterState.ENTRY
            assert waiter.entry is entry
            p.granted.clear()
        assert not p.doomed

    def test_across_hosts_the_oldest_waiter_gets_the_slot(self) -> None:
        p = pool(limit=1)
        entry = opened(p, A)
        first, second = p.wait(B, None), p.wait(C, None)
        p.release(entry, 0.0)
        assert p.doomed == [entry]
        assert p.granted == [first]
        assert first.state is WaiterState.SLOT
        p.cancel(B)
        assert p.granted == [first, second]

    def test_a_broken_connection_gives_its_slot_away(self) -> None:
        p = pool(limit=1)
        entry = opened(p, A)
        waiter = p.wait(A, None)
        p.release(entry, 0.0, reusable=False)
        assert waiter.state is WaiterState.SLOT
        assert sums(p) == (1, 0, 0, 0)

    def test_nobody_overtakes_a_host_without_any_connection(self) -> None:
        p = pool(limit=1)
        entry = opened(p, A)
        stranger = p.wait(B, None)
        regular = p.wait(A, None)
        p.release(entry, 0.0)
        assert p.granted == [stranger]
        assert regular.state is WaiterState.WAITING

    def test_reuse_may_go_before_age_only_so_often(self) -> None:
        p = pool(limit=2)
        on_a, on_b = opened(p, A), opened(p, B)
        stuck = p.wait(B, None)
        for _ in range(MAX_OVERTAKEN):
            regular = p.wait(A, None)
            p.release(on_a, 0.0)
            assert p.granted == [regular]
            p.granted.clear()
        p.wait(A, None)
        p.release(on_a, 0.0)
        assert p.granted == [stuck]
        assert stuck.state is WaiterState.SLOT
        assert p.doomed == [on_a]
        assert on_b.leases == 1

    def test_a_host_at_its_own_limit_does_not_hold_up_others(self) -> None:
        p = pool(limit=2, limit_per_host=1)
        on_a, on_b = opened(p, A), opened(p, B)
        blocked = [p.wait(A, None) for _ in range(3)]
        other = p.wait(C, None)
        p.release(on_b, 0.0)
        assert p.granted == [other]
        p.granted.clear()
        p.release(on_a, 0.0)
        assert p.granted == [blocked[0]]

    def test_leaving_the_line(self) -> None:
        p = pool(limit=1)
        entry = opened(p, A)
        first, second = p.wait(A, None), p.wait(A, None)
        p.leave(first)
        assert first.state is WaiterState.GONE
        p.release(entry, 0.0)
        assert p.granted == [second]

    def test_those_who_give_up_leave_nothing_behind(self) -> None:
        p = pool(limit=1)
        opened(p, A)
        for number in range(1000):
            p.leave(p.wait(key(f"h{number}"), None))
        assert len(p._ready) < 100
        assert len(p._groups) == 1
        assert sums(p) == (0, 1, 0, 0)

    def test_lost_while_idle_frees_a_slot_for_who_waits(self) -> None:
        p = pool(limit=2, limit_per_host=1)
        opened(p, A)
        entry = idle(p, B)
        waiter = p.wait(A, None)
        p.discard(entry)
        assert waiter.state is WaiterState.WAITING, "its own host is full all the same"
        assert sums(p) == (0, 1, 0, 1)

    def test_a_connection_dead_on_arrival_is_exchanged_for_a_slot(self) -> None:
        p = pool(limit=1)
        entry = opened(p, A)
        waiter = p.wait(A, None)
        p.release(entry, 0.0)
        assert waiter.entry is entry
        p.replace(entry)
        assert sums(p) == (1, 0, 0, 0)
        p.add(A, Wire(), 0.0)
        assert sums(p) == (0, 1, 0, 0)

    def test_clearing_sends_everyone_away(self) -> None:
        p = pool(limit=2)
        opened(p, A)
        parked = idle(p, B)
        opened_by_eviction = p.reserve(C)
        assert opened_by_eviction
        waiters = [p.wait(A, None), p.wait(B, None)]
        p.clear()
        assert p.granted == waiters
        assert {waiter.state for waiter in waiters} == {WaiterState.GONE}
        assert p.doomed == [parked]


class TestSweep:
    def test_it_takes_out_what_is_too_old_and_says_when_to_come_again(self) -> None:
        p = pool(keepalive_timeout=10.0)
        old, young = idle(p, A, 0.0), idle(p, B, 5.0)
        assert p.sweep(10.0) == 15.0
        assert p.doomed == [old]
        assert p.take(B, 10.0) is young

    def test_it_takes_out_what_the_server_closed(self) -> None:
        p = pool()
        entry = idle(p, A)
        entry.http.closed = True  # type: ignore[misc]  # a Wire's can be set
        assert p.sweep(1.0) is None
        assert p.doomed == [entry]

    def test_nothing_idle_needs_no_sweep(self) -> None:
        p = pool()
        opened(p, A)
        assert p.sweep(1000.0) is None


class TestManyRequestsOnOneConnection:
    """What HTTP/2 will want; on HTTP/1 a connection has room for one."""

    def shared(self, p: Pool) -> Entry:
        assert p.reserve(A)
        return p.add(A, Wire(capacity=3), 0.0)

    def test_it_is_given_until_it_is_full(self) -> None:
        p = pool()
        entry = self.shared(p)
        assert p.take(A, 0.0) is entry
        assert p.take(A, 0.0) is entry
        assert p.take(A, 0.0) is None
        assert sums(p) == (0, 1, 0, 0)

    def test_it_is_idle_when_the_last_request_ends(self) -> None:
        p = pool()
        entry = self.shared(p)
        p.take(A, 0.0)
        p.release(entry, 0.0)
        assert sums(p) == (0, 1, 0, 0)
        p.release(entry, 0.0)
        assert sums(p) == (0, 0, 1, 0)

    def test_a_broken_one_is_closed_when_the_last_request_ends(self) -> None:
        p = pool()
        entry = self.shared(p)
        p.take(A, 0.0)
        p.release(entry, 0.0, reusable=False)
        assert p.take(A, 0.0) is None
        assert not p.doomed
        p.release(entry, 0.0)
        assert p.doomed == [entry]

    def test_one_with_requests_on_it_is_never_evicted(self) -> None:
        p = pool(limit=1)
        self.shared(p)
        assert not p.reserve(B)

    def test_an_older_waiter_of_another_host_in_a_full_pool(self) -> None:
        p = pool(limit=1)
        entry = self.shared(p)
        p.take(A, 0.0)
        p.take(A, 0.0)
        stranger = p.wait(B, None)
        regular = p.wait(A, None)
        p.release(entry, 0.0)
        assert p.granted == [regular], "nothing is idle, so no slot can be had for the stranger"
        assert stranger.state is WaiterState.WAITING


@pytest.mark.parametrize("seed", range(10))
def test_counts_stay_whole_whatever_happens(seed: int) -> None:
    """Random requests, answers, losses and cancellations: limits hold, nobody waits in vain."""
    rng = random.Random(seed)
    limits = PoolLimits(limit=5, limit_per_host=2, keepalive_timeout=3.0, max_uses=7)
    p = Pool(limits, jitter=rng.random)
    keys = [key(name, server_hostname=sni) for name in "abcd" for sni in (None, "s")]
    leased: list[Entry] = []
    slots: list[ConnectionKey] = []
    waiting: deque[Waiter] = deque()
    now = 0.0
    for _ in range(1500):
        now += rng.random()
        action = rng.randrange(7)
        if action <= 1:
            wanted = rng.choice(keys)
            entry = p.take(wanted, now)
            if entry is not None:
                leased.append(entry)
            elif p.reserve(wanted):
                slots.append(wanted)
            else:
                waiting.append(p.wait(wanted, None))
        elif action == 2 and slots:
            wanted = slots.pop(rng.randrange(len(slots)))
            if rng.random() < 0.8:
                leased.append(p.add(wanted, Wire(now), now))
            else:
                p.cancel(wanted)
        elif action <= 4 and leased:
            entry = leased.pop(rng.randrange(len(leased)))
            entry.http.last_used = now  # type: ignore[misc]  # a Wire's can be set
            p.release(entry, now, reusable=rng.random() < 0.8)
        elif action == 5 and waiting:
            waiter = waiting.popleft()
            if waiter.state is WaiterState.WAITING:
                p.leave(waiter)
        else:
            p.sweep(now)
        for waiter in p.granted:
            if waiter.state is WaiterState.SLOT:
                slots.append(waiter.group.key)
            else:
                assert waiter.entry is not None
                leased.append(waiter.entry)
        p.granted.clear()
        p.doomed.clear()
        stats = p.stats()
        waiting = deque(waiter for waiter in waiting if waiter.state is WaiterState.WAITING)
        assert stats.waiting == len(waiting)
        assert stats.active == len(leased)
        assert stats.connecting == len(slots)
        assert stats.total <= 5
        per_host: dict[str, int] = {}
        for used in [*slots, *(entry.key for entry in leased), *(entry.key for entry in p._idle)]:
            per_host[used.host] = per_host.get(used.host, 0) + 1
        assert all(count <= 2 for count in per_host.values())
        for waiter in waiting:
            host = waiter.group.key.host
            idle_there = any(entry.key.host == host for entry in p._idle)
            host_full = per_host.get(host, 0) >= 2 and not idle_there
            assert host_full or (stats.total == 5 and not p._idle), "somebody waits in vain"
    for entry in leased:
        p.release(entry, now, reusable=False)
    for wanted in slots:
        p.cancel(wanted)
    p.clear()
    p.granted.clear()
