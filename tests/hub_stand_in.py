"""A stand-in for the Hugging Face hub: what `datasets` and `huggingface_hub` ask of it, served from files in memory."""

from __future__ import annotations

import hashlib
import io
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

import pyarrow as pa
import pyarrow.parquet as pq

WIKITEXT, WIKITEXT_COMMIT = "Salesforce/wikitext", "b08601e04326c79dfdd32d625aee71d232d685c3"
PTB, PTB_COMMIT = "ptb-text-only/ptb_text_only", "a" * 40


@dataclass
class Repo:
    """`files` by path; `names` are branches and what they stand for. `fault` is what goes wrong: gated, cut, short, error."""

    files: dict[str, bytes]
    commit: str = "c" * 40
    names: dict[str, str] = field(default_factory=dict)
    kind: str = "dataset"
    fault: str = ""


@dataclass
class Hub:
    """`repos` may be changed while it serves; `asked` has every request."""

    repos: dict[str, Repo]
    endpoint: str = ""
    asked: list[str] = field(default_factory=list)


def parquet(rows: list[Any], column: str = "text") -> bytes:
    """A parquet file with one column."""
    file = io.BytesIO()
    pq.write_table(pa.table({column: rows}), file)
    return file.getvalue()


def of_splits(config: str, rows: dict[str, list[Any]], column: str = "text") -> dict[str, bytes]:
    """Files of a configuration, a folder with a parquet file for each split."""
    return {f"{config}/{split}-00000-of-00001.parquet": parquet(found, column) for split, found in rows.items()}


def card(*configs: str, splits: tuple[str, ...] = ("train", "validation", "test")) -> dict[str, bytes]:
    """The README that names the configurations."""
    lines = ["---", "configs:"]
    for config in configs:
        lines += [f"- config_name: {config}", "  data_files:"]
        lines += [f"  - split: {split}\n    path: {config}/{split}-*" for split in splits]
    return {"README.md": "\n".join([*lines, "---", ""]).encode()}


@contextmanager
def serving(**repos: Repo) -> Iterator[Hub]:
    """A hub with these repositories; `__` in a name stands for the slash of its id."""
    hub = Hub({name.replace("__", "/").replace("_dash_", "-"): repo for name, repo in repos.items()})

    class Handler(_Handler):
        served = hub

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    hub.endpoint = f"http://127.0.0.1:{server.server_port}"
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    served: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments: Any) -> None:
        pass

    def do_HEAD(self) -> None:
        self._answer(False)

    def do_GET(self) -> None:
        self._answer(True)

    def _answer(self, body: bool) -> None:
        path = urlsplit(self.path).path
        self.served.asked.append(f"{self.command} {path}")
        parts = [unquote(part) for part in path.strip("/").split("/")]
        api = parts[0] == "api"
        parts = parts[1:] if api else parts
        kind = {"datasets": "dataset", "models": "model"}.get(parts[0], "")
        parts = parts[1:] if kind else parts
        id, what = "/".join(parts[:2]), parts[2:]
        repo = self.served.repos.get(id)
        if repo is None or repo.kind != (kind or "model"):
            return self._send(401, b"", {"X-Error-Code": "RepoNotFound"})
        if repo.fault == "error":
            return self._send(503, b"busy", {})
        if repo.fault == "gated" and not api:
            return self._send(403, b"", {"X-Error-Code": "GatedRepo"})
        revision = what[1] if len(what) > 1 else "main"
        if revision not in (repo.commit, "main", *repo.names):
            return self._send(404, b"", {"X-Error-Code": "RevisionNotFound"})
        if not api:
            return self._file(repo, "/".join(what[2:]), body)
        if what[:1] == ["tree"]:
            return self._json(self._tree(repo, "/".join(what[2:]), "recursive=true" in self.path.lower()))
        files = [{"rfilename": name} for name in repo.files]
        facts = {"private": False, "gated": "manual" if repo.fault == "gated" else False, "disabled": False, "tags": []}
        return self._json({"id": id, "sha": repo.names.get(revision, repo.commit), "siblings": files, **facts})

    def _tree(self, repo: Repo, folder: str, deep: bool) -> list[dict[str, Any]]:
        before = f"{folder}/" if folder else ""
        inside = [name.removeprefix(before) for name in repo.files if name.startswith(before)]
        folders = {"/".join(name.split("/")[:depth]) for name in inside for depth in range(1, name.count("/") + 1)}
        rows = [{"type": "directory", "path": before + name, "size": 0, "oid": "0" * 40} for name in sorted(folders)]
        for name in inside:
            path = before + name
            rows.append({"type": "file", "path": path, "size": len(repo.files[path]), "oid": _oid(repo, path)})
        return [row for row in rows if deep or "/" not in row["path"].removeprefix(before)]

    def _file(self, repo: Repo, name: str, body: bool) -> None:
        if name not in repo.files:
            return self._send(404, b"", {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": repo.commit})
        content = repo.files[name]
        headers = {"ETag": f'"{_oid(repo, name)}"', "X-Repo-Commit": repo.commit, "Content-Length": str(len(content))}
        is_data = not name.endswith(".md")
        if body and repo.fault == "cut" and is_data:  # promises all, gives half
            content = content[: len(content) // 2]
            self.close_connection = True
        if repo.fault == "short" and is_data:  # says that half is all
            content = content[: len(content) // 2]
            headers["Content-Length"] = str(len(content))
        return self._send(200, content if body else b"", headers)

    def _json(self, value: Any) -> None:
        self._send(200, json.dumps(value).encode(), {"Content-Type": "application/json"})

    def _send(self, status: int, content: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(content)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)


def _oid(repo: Repo, name: str) -> str:
    return hashlib.sha1(repo.files[name]).hexdigest()
