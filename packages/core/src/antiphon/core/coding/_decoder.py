"""Content decoders: one coding, or several on top of one another."""

import abc
from collections import deque
from typing import Final, final

from ..errors import ContentEncodingError, LocalProtocolError, quoted
from ._backends import ALIASES, GZIP_WBITS, UnknownContentCoding, import_brotli, import_zstd
from ._stages import BrotliStage, IdentityStage, InflateStage, Stage, ZstdStage

_MAX_CODINGS: Final = 2
"""Codings on top of one another. Servers use one; each multiplies what a bomb can do."""

_MAX_MEMBERS: Final = 1000
"""gzip members or Zstandard frames in one content. Each costs a new state, for 20 bytes."""

_MIN_WINDOW: Final = 256
"""Bytes of input per step at least, however little output is asked for."""


class ContentDecoder(abc.ABC):
    """Decodes content step by step. Made by `decoder`."""

    __slots__ = ("needs_input",)

    needs_input: bool
    """Whether nothing more comes out until more goes in. While this is false, call
    `decompress` with ``b""``, or stop asking and nothing is inflated."""

    @abc.abstractmethod
    def decompress(self, data: bytes, max_length: int) -> bytes:
        """Take *data* and return the next decoded bytes.

        Args:
            data: What arrived; ``b""`` to go on with what is here already. What is not
                needed yet is kept, still compressed and not copied.
            max_length: Size in bytes that the result has at most; positive.

        Returns:
            Decoded bytes. They may be empty although `needs_input` is false: a step
            ends early where little input would otherwise cause much work.

        Raises:
            ContentEncodingError: The content does not decode, or goes on after its end.
        """

    @abc.abstractmethod
    def finish(self) -> None:
        """Say that the content is complete, once `needs_input` is true.

        Content of no bytes at all counts as complete: nothing was encoded.

        Raises:
            ContentEncodingError: It was cut short.
            LocalProtocolError: Not everything was taken yet.
        """


@final
class _StageDecoder(ContentDecoder):
    """Feeds one stage, and owns what is not decoded yet.

    The input is handed over in windows no larger than the output asked for, and
    a stage gives back at most a window: nothing is copied again and again while
    a large chunk waits.
    """

    __slots__ = ("_at", "_chunk", "_later", "_stage")

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._chunk = b""
        self._at = 0
        self._later: deque[bytes] = deque()
        self.needs_input = True

    def decompress(self, data: bytes, max_length: int) -> bytes:
        if max_length <= 0:
            raise ValueError(f"max_length must be positive, not {max_length}")
        if data:
            if self._at < len(self._chunk) or self._stage.more:
                self._later.append(data)
            else:
                self._chunk = data
                self._at = 0
        out = self._step(max_length)
        if len(out) < max_length and not self.needs_input:
            parts = [out]
            room = max_length - len(out)
            while room and not self.needs_input:
                out = self._step(room)
                parts.append(out)
                room -= len(out)
            out = b"".join(parts)
        return out

    def _step(self, size: int) -> bytes:
        stage = self._stage
        if stage.more:
            out = stage.step(b"", size)
        else:
            window = self._window(size)
            if not window:
                self.needs_input = True
                return b""
            self._at += len(window)
            out = stage.step(window, size)
        if stage.rest:
            self._at -= len(stage.rest)
            stage.rest = b""
        if self._at >= len(self._chunk) and not stage.more:
            if self._later:
                self._chunk = self._later.popleft()
                self.needs_input = False
            else:
                self._chunk = b""
                self.needs_input = True
            self._at = 0
        else:
            self.needs_input = False
        return out

    def _window(self, size: int) -> bytes | memoryview:
        chunk = self._chunk
        end = self._at + max(size, _MIN_WINDOW)
        if self._at == 0 and len(chunk) <= end:
            return chunk
        return memoryview(chunk)[self._at : end]

    def finish(self) -> None:
        if not self.needs_input:
            raise LocalProtocolError("finish() before all of the content was taken")
        self._stage.finish()


@final
class _ChainDecoder(ContentDecoder):
    """Codings on top of one another; *outer* was applied last."""

    __slots__ = ("_inner", "_outer")

    def __init__(self, outer: ContentDecoder, inner: ContentDecoder) -> None:
        self._outer = outer
        self._inner = inner
        self.needs_input = True

    def decompress(self, data: bytes, max_length: int) -> bytes:
        # One step each, also if nothing comes out: what lies between the codings may be
        # large and mean nothing, and must not be worked through in one call.
        between = b""
        if data or self._inner.needs_input:
            between = self._outer.decompress(data, max_length)
        out = self._inner.decompress(between, max_length)
        self.needs_input = self._inner.needs_input and self._outer.needs_input
        return out

    def finish(self) -> None:
        self._outer.finish()
        self._inner.finish()


def decoder(
    encoding: str, *, max_codings: int = _MAX_CODINGS, max_members: int = _MAX_MEMBERS
) -> ContentDecoder:
    """Return a decoder for content with this ``Content-Encoding``.

    Args:
        encoding: The field's value: one coding, or a list of them in the order in
            which they were applied. Case does not matter; ``identity`` counts for nothing.
        max_codings: How many codings there may be on top of one another.
        max_members: How many gzip members or Zstandard frames content may consist of.

    Raises:
        UnknownContentCoding: A coding that is not among `available_codings`.
        ContentEncodingError: More than *max_codings* codings.
    """
    names = [ALIASES.get(name, name) for name in _coding_names(encoding)]
    if len(names) > max_codings:
        raise ContentEncodingError(f"More than {max_codings} content codings")
    if not names:
        return _StageDecoder(IdentityStage())
    first, *others = [_StageDecoder(_stage(name, max_members)) for name in names]
    made: ContentDecoder = first
    for outer in others:
        made = _ChainDecoder(outer, made)
    return made


def _coding_names(encoding: str) -> list[str]:
    names = (name.strip(" \t").lower() for name in encoding.split(","))
    return [name for name in names if name and name != "identity"]


def _stage(name: str, max_members: int) -> Stage:
    if name == "gzip":
        return InflateStage(name, GZIP_WBITS, max_members)
    if name == "deflate":
        return InflateStage(name, None, 1)
    if name == "br" and import_brotli() is not None:
        return BrotliStage()
    if name == "zstd" and import_zstd() is not None:
        return ZstdStage(max_members)
    raise UnknownContentCoding(f"No content coding {quoted(name)} here")
