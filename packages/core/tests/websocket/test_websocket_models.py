"""What is received: one class for each kind, alike for who looks at the type only."""

from collections.abc import Callable
from typing import Any

import pytest

import antiphon.core as core
from antiphon.core import WSMessage, WSMsgType
from antiphon.core.websocket.connection import Role, WebSocketConnection


@pytest.mark.parametrize(
    ("wire", "decode_text", "kind", "plain"),
    [
        pytest.param(
            [(0x81, b"a")], True, core.WSMessageText, (WSMsgType.TEXT, "a", None), id="text"
        ),
        pytest.param(
            [(0x01, b"a"), (0x80, b"b")],
            True,
            core.WSMessageText,
            (WSMsgType.TEXT, "ab", None),
            id="text in fragments",
        ),
        pytest.param(
            [(0x81, b"a")], False, core.WSMessageTextBytes, (WSMsgType.TEXT, b"a", None), id="bytes"
        ),
        pytest.param(
            [(0x01, b"a"), (0x80, b"b")],
            False,
            core.WSMessageTextBytes,
            (WSMsgType.TEXT, b"ab", None),
            id="bytes in fragments",
        ),
        pytest.param(
            [(0x82, b"a")], True, core.WSMessageBinary, (WSMsgType.BINARY, b"a", None), id="binary"
        ),
        pytest.param(
            [(0x89, b"a")], True, core.WSMessagePing, (WSMsgType.PING, b"a", None), id="ping"
        ),
        pytest.param(
            [(0x8A, b"a")], True, core.WSMessagePong, (WSMsgType.PONG, b"a", None), id="pong"
        ),
        pytest.param(
            [(0x88, b"\x03\xe8a")],
            True,
            core.WSMessageClose,
            (WSMsgType.CLOSE, 1000, "a"),
            id="close",
        ),
    ],
)
def test_each_kind_has_its_class(
    wire: list[tuple[int, bytes]],
    decode_text: bool,
    kind: type[Any],
    plain: tuple[object, ...],
    frame: Callable[..., bytes],
) -> None:
    data = b"".join(frame(*item) for item in wire)
    connection = WebSocketConnection(Role.SERVER, decode_text=decode_text)
    connection.receive_data(data)
    message: Any = connection.next_event()
    assert message == plain
    assert type(message) is kind
    assert isinstance(message, WSMessage)
    # The short way, where there is one, gives the same.
    alone: Any = WebSocketConnection(Role.SERVER, decode_text=decode_text).receive_whole(data)
    assert alone is None or (alone == plain and type(alone) is kind)


def test_messages_can_be_made_by_hand() -> None:
    made: Any = core.WSMessageText(WSMsgType.TEXT, '{"a": 1}', None)
    assert made.json() == {"a": 1}
    assert repr(made).startswith("WSMessageText(type=")
    assert not hasattr(made, "__dict__")


@pytest.mark.parametrize("cut", range(1, 5))
def test_the_short_way_takes_nothing_but_one_whole_message(
    cut: int, frame: Callable[..., bytes]
) -> None:
    connection = WebSocketConnection(Role.SERVER, max_msg_size=10)
    whole = frame(0x81, b"hello")
    for data in (
        whole[:-cut],
        whole + b"\x81",
        whole * 2,
        frame(0x01, b"hello"),
        frame(0x80, b"hello"),
        frame(0xC1, b"hello"),
        frame(0x89, b"hello"),
        frame(0x81, b"hello", masked=False),
        frame(0x81, b"hello", width=3),
        frame(0x81, b"\xff"),
        frame(0x81, b"x" * 11),
        b"",
    ):
        assert connection.receive_whole(data) is None
    message: Any = connection.receive_whole(whole)
    assert message.data == "hello"
    connection.receive_data(whole[:cut])
    assert connection.receive_whole(whole) is None, "something had begun"
    connection.receive_data(whole[cut:])
    message = connection.next_event()
    assert message.data == "hello"
    connection.receive_data(frame(0x01, b"a"))
    connection.next_event()
    assert connection.receive_whole(whole) is None, "a message is under way"


def test_the_short_way_ends_where_the_connection_does(frame: Callable[..., bytes]) -> None:
    connection = WebSocketConnection(Role.SERVER)
    connection.receive_data(frame(0x88, b"\x03\xe8"))
    connection.next_event()
    assert connection.receive_whole(frame(0x81, b"after")) is None
