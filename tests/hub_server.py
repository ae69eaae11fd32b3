"""A small stand-in for the Hugging Face hub: one repository of files over HTTP on this computer."""

import contextlib
import hashlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

COMMIT = "a" * 40
"""The only commit of the repository, also that of its branch `main` and its tag `v1`."""


@contextlib.contextmanager
def serving(name: str, folder: Path) -> Iterator[tuple[str, list[str]]]:
    """Serve the files of a folder as the repository `name`; yield the address and what is asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            """Keep the tests' output clean."""

        def answer(self, *, body: bool) -> None:
            path = urlsplit(self.path).path
            asked.append(path)
            sent, headers = found(path)
            self.send_response(404 if sent is None else 200)
            for key, value in {**headers, "Content-Length": str(len(sent or b""))}.items():
                self.send_header(key, value)
            self.end_headers()
            if body and sent:
                self.wfile.write(sent)

        def do_GET(self) -> None:
            self.answer(body=True)

        def do_HEAD(self) -> None:
            self.answer(body=False)

    def found(path: str) -> tuple[bytes | None, dict[str, str]]:
        files = sorted(folder.iterdir())
        plain = {"Content-Type": "application/json"}
        if path.startswith(f"/api/models/{name}/tree/"):
            oids = [hashlib.sha1(one.name.encode()).hexdigest() for one in files]
            rows = [{"type": "file", "path": one.name, "size": one.stat().st_size} for one in files]
            return json.dumps([{**row, "oid": oid} for row, oid in zip(rows, oids, strict=True)]).encode(), plain
        if path in (f"/api/models/{name}", *(f"/api/models/{name}/revision/{one}" for one in ("main", "v1", COMMIT))):
            about = {"id": name, "modelId": name, "sha": COMMIT, "private": False, "tags": [], "downloads": 0}
            listed = [{"rfilename": one.name} for one in files]
            return json.dumps({**about, "likes": 0, "siblings": listed}).encode(), plain
        parts = path.split("/")  # /OWNER/NAME/resolve/COMMIT/FILE
        if path.startswith(f"/{name}/resolve/") and (folder / parts[-1]).is_file():
            content = (folder / parts[-1]).read_bytes()
            return content, {"ETag": f'"{hashlib.sha256(content).hexdigest()}"', "X-Repo-Commit": COMMIT}
        return None, {"X-Error-Code": "RepoNotFound"}

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
