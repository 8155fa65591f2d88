"""A chat room with its page: what one visitor says, all of them see.

Run it with ``python chat.py`` and open http://localhost:8080 in two windows.
"""

import asyncio

from antiphon import web

ROOM = web.AppKey("room", set[web.WebSocketResponse])
LONGEST = 2000


async def chat(request: web.Request) -> web.WebSocketResponse:
    ws = web.WebSocketResponse(heartbeat=30, max_msg_size=4 * LONGEST)
    await ws.prepare(request)
    room = request.app[ROOM]
    room.add(ws)
    try:
        async for message in ws:
            if message.type is web.WSMsgType.TEXT:
                await say(room, message.data[:LONGEST])
    finally:
        room.discard(ws)
    return ws


async def say(room: set[web.WebSocketResponse], text: str) -> None:
    """Send *text* to everybody; whoever has gone or does not read is no reason to wait."""
    for visitor in list(room):
        try:
            async with asyncio.timeout(5):
                await visitor.send_str(text)
        except (ConnectionError, TimeoutError):
            room.discard(visitor)


async def page(request: web.Request) -> web.Response:
    return web.Response(text=PAGE, content_type="text/html")


def create_app() -> web.Application:
    app = web.Application()
    app[ROOM] = set()
    app.add_routes([web.get("/", page), web.get("/chat", chat)])
    return app


PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Chat</title>
<style>
  body { font: 1rem/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 40rem; padding: 0 1rem }
  #text { width: 100%; box-sizing: border-box; font: inherit; padding: .4rem }
</style>
<h1>Chat</h1>
<ol id="said"></ol>
<form id="form"><input id="text" autocomplete="off" placeholder="Say something" autofocus></form>
<p id="state">connecting</p>
<script>
  const [said, form, text, state] = ["said", "form", "text", "state"].map((id) => document.getElementById(id))
  const ws = new WebSocket(location.href.replace(/^http/, "ws") + "chat")
  ws.onopen = () => state.textContent = "connected"
  ws.onclose = (event) => state.textContent = `closed (${event.code})`
  ws.onmessage = (event) => {
    const line = document.createElement("li")
    line.textContent = event.data
    said.append(line)
  }
  form.onsubmit = (event) => {
    event.preventDefault()
    if (text.value) ws.send(text.value)
    text.value = ""
  }
</script>
"""

if __name__ == "__main__":
    web.run_app(create_app(), host="localhost")
