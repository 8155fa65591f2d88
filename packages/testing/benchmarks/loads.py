"""Programs that make load. Each runs on a core of its own and says how much was answered."""

import json
import re
import subprocess

from processes import HERE, LOAD_CORE, pinned, python

__all__ = ("download", "talk", "upload", "wrk")


def wrk(port: int, path: str, script: str | None, seconds: int) -> int:
    """Run wrk for *seconds* and return how many requests were answered."""
    command = ["wrk", "-t1", "-c32", f"-d{seconds}s"]
    if script:
        command += ["-s", str(HERE / "load" / script)]
    command.append(f"http://127.0.0.1:{port}{path}")
    said = _run(command)
    if "Non-2xx" in said or "Socket errors" in said:
        raise SystemExit(f"{command}: {said}")
    found = re.search(r"(\d+) requests in", said)
    if found is None:
        raise SystemExit(f"wrk said nothing of requests: {said}")
    answered = int(found[1])
    if not answered:
        raise SystemExit(f"{command}: nothing was answered in time; --seconds is too few")
    return answered


def download(port: int, path: str, size: int, count: int) -> int:
    """Fetch *count* responses of *size* bytes each, four at a time."""
    arguments = ["--port", str(port), "--path", path, "--size", str(size), "--count", str(count)]
    return int(json.loads(_run(python("load/download.py", *arguments)))["requests"])


def upload(port: int, path: str, size: int, count: int) -> int:
    """Send *count* requests with *size* bytes of content each, two at a time."""
    arguments = ["--port", str(port), "--path", path, "--size", str(size), "--count", str(count)]
    return int(json.loads(_run(python("load/upload.py", *arguments)))["requests"])


def talk(port: int, path: str, size: int, count: int, *, compressed: bool) -> int:
    """Exchange *count* WebSocket messages of *size* bytes over 16 connections."""
    arguments = ["--port", str(port), "--path", path, "--size", str(size), "--count", str(count)]
    if compressed:
        arguments.append("--compressed")
    return int(json.loads(_run(python("load/websocket.py", *arguments)))["messages"])


def _run(command: list[str]) -> str:
    done = subprocess.run(
        pinned(LOAD_CORE, command), capture_output=True, text=True, check=False, timeout=600
    )
    if done.returncode:
        raise SystemExit(f"{command}: {done.stdout}{done.stderr}")
    return done.stdout
