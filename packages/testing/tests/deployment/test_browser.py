"""A real browser uses the samples that have pages.

Chromium is driven over its DevTools protocol, by the WebSocket client under test.
"""

import asyncio
import hashlib
import itertools
import json
import os
import pathlib
import re
from collections.abc import AsyncIterator

import pytest
from yarl import URL

from antiphon.client import ClientSession, ClientWebSocketResponse

from .conftest import program

SWITCHES = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-sync", "--disable-background-networking", "--disable-component-update",
    "--remote-debugging-port=0",
]  # fmt: skip


class Browser:
    """A running Chromium, its commands and their answers."""

    def __init__(self, ws: ClientWebSocketResponse) -> None:
        self._ws = ws
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[dict]] = {}

    async def listen(self) -> None:
        """Hand each answer to whoever waits for it."""
        async for message in self._ws:
            told = json.loads(message.data)
            waiting = self._waiting.pop(told.get("id"), None)
            if waiting is None:
                continue  # an event
            if "error" in told:
                waiting.set_exception(RuntimeError(told["error"]["message"]))
            else:
                waiting.set_result(told["result"])

    async def call(self, method: str, session: str | None = None, /, **parameters: object) -> dict:
        number = next(self._numbers)
        answer = self._waiting[number] = asyncio.get_running_loop().create_future()
        command = {"id": number, "method": method, "params": parameters}
        await self._ws.send_json(command | ({"sessionId": session} if session else {}))
        return await answer

    async def open(self, url: URL) -> "Page":
        made = await self.call("Target.createTarget", url="about:blank")
        target = made["targetId"]
        attached = await self.call("Target.attachToTarget", targetId=target, flatten=True)
        page = Page(self, attached["sessionId"])
        await self.call("Page.navigate", page.session, url=str(url))
        await page.until("document.readyState === 'complete' && location.href !== 'about:blank'")
        return page


class Page:
    """One tab."""

    def __init__(self, browser: Browser, session: str) -> None:
        self.browser = browser
        self.session = session

    async def run(self, script: str) -> object:
        """Return what *script*, an expression or a promise, comes to."""
        told = await self.browser.call(
            "Runtime.evaluate", self.session, expression=script, awaitPromise=True,
            returnByValue=True,
        )  # fmt: skip
        assert "exceptionDetails" not in told, told["exceptionDetails"]
        return told["result"].get("value")

    async def until(self, condition: str) -> None:
        """Wait until *condition* holds, looked at in each frame that the browser draws."""
        while True:
            try:
                return await self._hold(condition)
            except RuntimeError as exc:
                # The page it was asked in has been left for another.
                if not re.search("context|navigat", str(exc)):
                    raise

    async def _hold(self, condition: str) -> None:
        script = f"""new Promise((done) => {{
            const look = () => ({condition}) ? done(true) : setTimeout(look, 10)
            look()
        }})"""
        assert await self.run(script) is True

    async def choose_file(self, selector: str, path: pathlib.Path) -> None:
        document = await self.browser.call("DOM.getDocument", self.session)
        node = await self.browser.call(
            "DOM.querySelector", self.session, nodeId=document["root"]["nodeId"], selector=selector
        )
        await self.browser.call(
            "DOM.setFileInputFiles", self.session, nodeId=node["nodeId"], files=[str(path)]
        )

    async def type(self, text: str) -> None:
        await self.browser.call("Input.insertText", self.session, text=text)

    async def press_enter(self) -> None:
        for kind in ("keyDown", "keyUp"):
            await self.browser.call(
                "Input.dispatchKeyEvent", self.session, type=kind, key="Enter", code="Enter",
                windowsVirtualKeyCode=13, text="\r" if kind == "keyDown" else "",
            )  # fmt: skip


@pytest.fixture
async def browser(start, tmp_path) -> AsyncIterator[Browser]:
    profile = tmp_path / "profile"
    sign = "DevTools listening on "
    chromium = await start(
        program("chromium"), *SWITCHES, f"--user-data-dir={profile}", "about:blank", sign=sign,
        env={"HOME": str(tmp_path)},
    )  # fmt: skip
    address = chromium.lines[-1].split(sign)[1].strip()
    async with (
        ClientSession() as session,
        session.ws_connect(address, max_msg_size=1 << 26, compress=0) as ws,
    ):
        browser = Browser(ws)
        listening = asyncio.create_task(browser.listen())
        try:
            async with asyncio.timeout(60):
                yield browser
        finally:
            listening.cancel()
            await asyncio.wait([listening])


async def test_two_tabs_talk(serve, unused_port, browser):
    port = unused_port()
    service = await serve("chat:create_app", "--host", "127.0.0.1", "--port", port)
    ann, bob = [await browser.open(URL(f"http://127.0.0.1:{port}/")) for _ in range(2)]
    for page in (ann, bob):
        await page.until("state.textContent === 'connected'")
    await ann.run("text.focus()")
    await ann.type("hello, <b>Bob</b> \N{WAVING HAND SIGN}")
    await ann.press_enter()
    for page in (ann, bob):
        await page.until("said.children.length === 1")
        assert await page.run("said.textContent") == "hello, <b>Bob</b> \N{WAVING HAND SIGN}"
    await bob.run("ws.send('x'.repeat(2000))")
    await ann.until("said.children.length === 2 && said.lastChild.textContent.length === 2000")
    assert await service.stop() == 0
    await ann.until("state.textContent === 'closed (1001)'")


async def test_a_message_that_is_too_long_closes_that_tab_alone(serve, unused_port, browser):
    port = unused_port()
    await serve("chat:create_app", "--host", "127.0.0.1", "--port", port)
    ann, bob = [await browser.open(URL(f"http://127.0.0.1:{port}/")) for _ in range(2)]
    for page in (ann, bob):
        await page.until("state.textContent === 'connected'")
    await ann.run("ws.send('x'.repeat(1000000))")
    await ann.until("state.textContent === 'closed (1009)'")
    await bob.run("ws.send('still here')")
    await bob.until("said.textContent === 'still here'")


@pytest.mark.parametrize("size", [0, 5_000_000])
async def test_a_file_goes_up_and_comes_down(serve, unused_port, browser, tmp_path, size):
    port = unused_port()
    await serve("service:create_app", "--host", "127.0.0.1", "--port", port)
    file = tmp_path / "holiday picture #1.bin"
    file.write_bytes(os.urandom(size))
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    page = await browser.open(URL(f"http://127.0.0.1:{port}/"))
    assert await page.run("document.querySelector('h1').textContent") == "File store"
    await page.choose_file("#file", file)
    await page.run("document.querySelector('button').click()")
    await page.until("document.querySelectorAll('tbody tr').length === 1")
    cells = await page.run("[...document.querySelectorAll('td')].map((cell) => cell.textContent)")
    assert cells == [file.name, f"{size:,}", digest[:12]]
    came = await page.run("""
        fetch(document.querySelector('tbody a').href)
            .then((response) => response.arrayBuffer())
            .then((data) => crypto.subtle.digest('SHA-256', data))
            .then((digest) => [...new Uint8Array(digest)]
                .map((byte) => byte.toString(16).padStart(2, '0')).join(''))
    """)
    assert came == digest
