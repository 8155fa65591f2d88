"""What tasks wait for, in words."""

import asyncio
import gc
import traceback
from collections.abc import Iterable
from types import AsyncGeneratorType, FrameType
from typing import Any, Final

__all__ = ("describe_task", "describe_tasks", "innermost_frame")

_SLEEP: Final = asyncio.sleep.__code__


def describe_tasks(tasks: "Iterable[asyncio.Task[Any]]") -> str:
    """Return the stacks of *tasks*, and whom each of them waits for, as text."""
    ordered = sorted(tasks, key=lambda task: task.get_name())
    return "\n".join(describe_task(task) for task in ordered) or "no task is left\n"


def describe_task(task: "asyncio.Task[Any]") -> str:
    """Return the stack of *task*, outermost call first, and what it waits for."""
    frames = _frames(task.get_coro())
    summary = traceback.StackSummary.extract(
        ((frame, frame.f_lineno) for frame in frames), lookup_lines=True
    )
    lines = [f"{task.get_name()} waits for {_awaited(task)}\n"]
    lines += summary.format() or ["  (it has not begun, or runs right now)\n"]
    return "".join(lines)


def _frames(awaitable: Any) -> list[FrameType]:
    frames: list[FrameType] = []
    while awaitable is not None:
        frame = (
            getattr(awaitable, "cr_frame", None)
            or getattr(awaitable, "gi_frame", None)
            or getattr(awaitable, "ag_frame", None)
        )
        if frame is not None:
            frames.append(frame)
        awaitable = (
            getattr(awaitable, "cr_await", None)
            or getattr(awaitable, "gi_yieldfrom", None)
            or getattr(awaitable, "ag_await", None)
        )
        awaitable = _generator_of(awaitable)
    return frames


def _generator_of(awaitable: Any) -> Any:
    """Return the asynchronous generator behind one step of it, as ``async for`` makes them."""
    if type(awaitable).__name__.startswith("async_generator_"):
        for inside in gc.get_referents(awaitable):  # nothing else leads there
            if isinstance(inside, AsyncGeneratorType):
                return inside
    return awaitable


def _awaited(task: "asyncio.Task[Any]") -> str:
    if task.done():
        return "nothing: it is done"
    waiter = getattr(task, "_fut_waiter", None)
    frame = innermost_frame(task)
    if frame is not None and frame.f_code is _SLEEP:
        return _timer_of(frame, task.get_loop())
    if waiter is None:
        return "its turn"
    if isinstance(waiter, asyncio.Task):
        return f"task {waiter.get_name()}"
    children = getattr(waiter, "_children", None)
    if children:
        names = (child.get_name() for child in children if isinstance(child, asyncio.Task))
        return "tasks " + ", ".join(sorted(names))
    return "a future that nobody has set" + _made_at(waiter)


def _timer_of(sleep: FrameType, loop: asyncio.AbstractEventLoop) -> str:
    handle = sleep.f_locals.get("h")
    if handle is None:
        return "its turn"
    left = handle.when() - loop.time()
    return f"a timer: sleeps until {handle.when():.3f} s of the loop's time, {left:.3f} s from now"


def _made_at(future: Any) -> str:
    made = getattr(future, "_source_traceback", None)
    if not made:
        return ""
    return f", made at {made[-1].filename}:{made[-1].lineno}"


def innermost_frame(task: "asyncio.Task[Any]") -> FrameType | None:
    """Return the frame in which *task* waits; ``None`` if it has none."""
    frames = _frames(task.get_coro())
    return frames[-1] if frames else None
