"""A file store: uploads stream to disk, facts about them go to SQLite, downloads stream back.

Run it on its own with::

    python -m antiphon.web service:create_app
"""

import hashlib
import html
import pathlib
import tempfile
from collections.abc import AsyncIterator
from urllib.parse import quote

import aiosqlite

from antiphon import web

DATABASE = web.AppKey("database", aiosqlite.Connection)
FOLDER = web.AppKey("folder", pathlib.Path)

routes = web.RouteTableDef()


@routes.put("/files/{name:.+}")
async def upload(request: web.Request) -> web.Response:
    """Store the content under its digest; it is never in memory as a whole."""
    digest = hashlib.sha256()
    size = 0
    with tempfile.NamedTemporaryFile(dir=request.app[FOLDER], delete=False) as file:
        async for piece in request.content.iter_any():
            digest.update(piece)
            size += len(piece)
            file.write(piece)
    stored = request.app[FOLDER] / digest.hexdigest()
    pathlib.Path(file.name).replace(stored)

    record = {"name": request.match_info["name"], "size": size, "sha256": stored.name}
    database = request.app[DATABASE]
    await database.execute("REPLACE INTO files VALUES (:name, :size, :sha256)", record)
    await database.commit()
    return web.json_response(record, status=201)


@routes.get("/files")
async def listing(request: web.Request) -> web.Response:
    """List what is stored, as JSON."""
    return web.json_response([dict(row) for row in await records(request.app)])


@routes.get("/files/{name:.+}")
async def download(request: web.Request) -> web.StreamResponse:
    """Send a stored file piece by piece."""
    query = "SELECT size, sha256 FROM files WHERE name = ?"
    async with request.app[DATABASE].execute(query, [request.match_info["name"]]) as cursor:
        row = await cursor.fetchone()
    if row is None:
        raise web.HTTPNotFound

    response = web.StreamResponse(headers={"Content-Type": "application/octet-stream"})
    response.content_length = row["size"]
    response.etag = row["sha256"]
    await response.prepare(request)
    with (request.app[FOLDER] / row["sha256"]).open("rb") as file:
        while piece := file.read(64 * 1024):
            await response.write(piece)
    await response.write_eof()
    return response


@routes.get("/")
async def page(request: web.Request) -> web.Response:
    """Show what is stored, for people."""
    rows = "".join(
        f'<tr><td><a href="/files/{quote(row["name"])}">{html.escape(row["name"])}</a>'
        f"<td>{row['size']:,}<td><code>{row['sha256'][:12]}</code>"
        for row in await records(request.app)
    )
    return web.Response(text=PAGE.replace("ROWS", rows), content_type="text/html")


async def records(app: web.Application) -> list[aiosqlite.Row]:
    async with app[DATABASE].execute("SELECT * FROM files ORDER BY name") as cursor:
        return list(await cursor.fetchall())


async def storage(app: web.Application) -> AsyncIterator[None]:
    """Open folder and database when the application starts, and close them when it stops."""
    with tempfile.TemporaryDirectory(prefix="filestore-") as folder:
        app[FOLDER] = pathlib.Path(folder)
        async with aiosqlite.connect(app[FOLDER] / "files.sqlite") as database:
            database.row_factory = aiosqlite.Row
            await database.execute("CREATE TABLE files (name PRIMARY KEY, size, sha256)")
            app[DATABASE] = database
            yield


def create_app() -> web.Application:
    app = web.Application()
    app.add_routes(routes)
    app.cleanup_ctx.append(storage)
    return app


PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>File store</title>
<style>
  body { font: 1rem/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 60rem; padding: 0 1rem }
  table { border-collapse: collapse; width: 100% }
  th, td { border-bottom: 1px solid #ddd; padding: .2rem .5rem; text-align: left }
  td:nth-child(2) { text-align: right; font-variant-numeric: tabular-nums }
</style>
<h1>File store</h1>
<form id="form"><input type="file" name="file" id="file"> <button>Upload</button></form>
<table><thead><tr><th>Name<th>Bytes<th>SHA-256<tbody>ROWS</table>
<script>
  document.getElementById("form").onsubmit = async (event) => {
    event.preventDefault()
    const [file] = document.getElementById("file").files
    if (!file) return
    await fetch("/files/" + encodeURIComponent(file.name), { method: "PUT", body: file })
    location.reload()
  }
</script>
"""
