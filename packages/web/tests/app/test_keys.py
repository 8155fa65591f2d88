"""Typed keys, chained look-up, lists that freeze, and signals."""

from typing import Any

import pytest

from antiphon.web._signals import FrozenList, Signal
from antiphon.web.keys import AppKey, ChainMapProxy, NotAppKeyWarning, RequestKey, ResponseKey


@pytest.mark.parametrize("kind", [AppKey, RequestKey, ResponseKey])
def test_a_key_equals_itself_alone(kind: Any) -> None:
    key = kind("name", int)
    assert key == key  # what is tested
    assert key != kind("name", int)
    assert {key: 1}[key] == 1
    assert repr(key) == f"<{kind.__name__}({__name__}.name, type=int)>"
    assert repr(kind("n")) == f"<{kind.__name__}({__name__}.n, type=<<Unknown>>)>"
    assert repr(kind[str]("n")) == f"<{kind.__name__}({__name__}.n, type=str)>"


def test_the_warning_exists_and_is_a_warning() -> None:
    assert issubclass(NotAppKeyWarning, UserWarning)


def test_chain() -> None:
    key = AppKey("key", int)
    inner: dict[Any, Any] = {"a": 1, key: 2, "none": None}
    outer: dict[Any, Any] = {"a": 3, "b": 4, "none": 5}
    chain = ChainMapProxy([inner, outer])
    assert (chain["a"], chain["b"], chain[key], chain["none"]) == (1, 4, 2, None)
    assert (chain.get("c"), chain.get("c", 6), chain.get("none", 7)) == (None, 6, None)
    assert ("a" in chain, "c" in chain) == (True, False)
    assert len(chain) == 4
    assert set(chain) == {"a", "b", key, "none"}
    assert chain
    assert not ChainMapProxy([{}, {}])
    with pytest.raises(KeyError):
        chain["c"]


def test_lists_freeze() -> None:
    items: FrozenList[int] = FrozenList([1, 2])
    items.append(3)
    items[0] = 0
    del items[1]
    assert items == [0, 3]
    assert (list(items), len(items), 3 in items, items[1], items[0:1] == [0]) == (
        [0, 3], 2, True, 3, True,
    )  # fmt: skip
    with pytest.raises(RuntimeError, match="Cannot hash"):
        hash(items)
    items.freeze()
    assert items.frozen
    assert hash(items) == hash((0, 3))
    for change in (
        lambda: items.append(1), items.pop, lambda: items.__setitem__(0, 1),
        lambda: items.__delitem__(0), items.clear, lambda: items.extend([1]), items.reverse,
    ):  # fmt: skip
        with pytest.raises(RuntimeError, match="Cannot modify frozen list"):
            change()
    assert items == FrozenList([0, 3])
    assert items != FrozenList([0])
    assert items != 1


async def test_signals_await_their_receivers_in_order() -> None:
    calls: list[Any] = []
    signal: Signal[Any] = Signal("owner")

    @signal
    async def first(value: Any) -> None:
        calls.append(("first", value))

    async def second(value: Any) -> None:
        calls.append(("second", value))

    signal.append(second)
    with pytest.raises(RuntimeError, match="non-frozen"):
        await signal.send(1)
    signal.freeze()
    await signal.send(1)
    assert calls == [("first", 1), ("second", 1)]
    assert repr(signal).startswith("<Signal owner='owner', frozen=True, [")
