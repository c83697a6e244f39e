"""The Hugging Face hub: what is asked of it, how long it is waited for, and what went wrong in one line.

Importable alone: corpus.py; huggingface_hub is loaded when the hub is asked for something.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from cortex.corpus import CorpusError

# Seconds without a sign of the hub after which it counts as out of reach. The library alone would try for minutes.
PATIENCE = 24.0
_REQUEST = 10.0
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?", re.ASCII)


class Pin(NamedTuple):
    """A data set or model of the hub at a revision: a commit, or a name that can come to mean another commit."""

    kind: str
    id: str
    revision: str

    def moves(self) -> bool:
        return not re.fullmatch(r"[0-9a-f]{40}", self.revision)


def endpoint() -> str:
    """The address of the hub."""
    return (os.environ.get("HF_ENDPOINT") or "https://huggingface.co").rstrip("/")


def is_offline() -> bool:
    """Whether the user has said that the hub is not to be asked."""
    return os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE")


def check_id(id: str, where: str) -> None:
    """CorpusError unless this could be an id of the hub. The library would take a folder's name for one, and read it."""
    if not id:
        raise CorpusError(f"{where}: none is set, expected an id of the hub as OWNER/NAME")
    if not _ID.fullmatch(id) or ".." in id:
        raise CorpusError(f"{where}: {id!r} is no id of the hub, expected OWNER/NAME")


def commit_of(pin: Pin, where: str) -> str:
    """The commit that a revision stands for now; CorpusError says why it cannot be known."""
    check_id(pin.id, where)
    if is_offline():
        return _cached_commit(pin) or pin.revision
    from huggingface_hub import HfApi

    def ask() -> str:
        return HfApi(endpoint=endpoint()).repo_info(
            pin.id, repo_type=pin.kind, revision=pin.revision, timeout=_REQUEST
        ).sha  # fmt: skip

    with faults(pin, where):
        return patiently(ask, lambda: 0, lambda: None)


def _cached_commit(pin: Pin) -> str | None:
    """What the cache of the library knows of a revision."""
    from huggingface_hub.constants import HF_HUB_CACHE

    file = Path(HF_HUB_CACHE) / f"{pin.kind}s--{pin.id.replace('/', '--')}" / "refs" / pin.revision
    return file.read_text().strip() if file.is_file() else None


def hub_file(kind: str, id: str, name: str, revision: str, where: str) -> str:
    """The path of a file of the hub in the library's cache, fetched where it is not there; CorpusError says what is wrong."""
    check_id(id, where)
    pin = Pin(kind, id, revision)
    from huggingface_hub import HfApi
    from huggingface_hub.utils import disable_progress_bars, logging

    disable_progress_bars()
    logging.set_verbosity(50)

    def fetch() -> str:
        return HfApi(endpoint=endpoint()).hf_hub_download(id, name, repo_type=kind, revision=revision)

    with faults(pin, where, name):
        return patiently(fetch, lambda: 0, lambda: None)


def patiently(work: Callable[[], Any], moved: Callable[[], int], heard: Callable[[], None]) -> Any:
    """What `work` gives, done in a thread of its own.

    `moved` counts what has come; where that has not grown for PATIENCE seconds, TimeoutError is raised, whatever the
    library goes on trying. `heard` is called now and then and can end the wait by raising.
    """
    found: list[Any] = []

    def run() -> None:
        try:
            found.append((True, work()))
        except BaseException as error:
            found.append((False, error))

    threading.Thread(target=run, daemon=True).start()
    most, since = moved(), time.monotonic()
    while not found:
        time.sleep(0.05)
        heard()
        now = moved()
        if now > most:
            most, since = now, time.monotonic()
        if time.monotonic() - since > PATIENCE and not found:
            raise TimeoutError(f"nothing has come from it for {PATIENCE:.0f} s")
    done, value = found[0]
    if not done:
        raise value
    return value


class faults:
    """Within it, whatever the hub or its libraries raise becomes a CorpusError of one line."""

    def __init__(self, pin: Pin, where: str, part: str = "") -> None:
        self.pin, self.where, self.part = pin, where, part

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, Exception) and not isinstance(error, (CorpusError, AssertionError)):
            known = _message(self.pin, self.part, list(_chain(error)))
            if known is None and type(error).__module__.startswith("cortex"):
                return  # ours: somebody no longer wants to wait
            raise CorpusError(f"{self.where}: {known or _plainly(self.pin, self.part, error)}") from None


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def _message(pin: Pin, part: str, errors: list[BaseException]) -> str | None:
    """What went wrong, by the names of the errors: their classes are of libraries that need not be loaded for this."""
    names = {cls.__name__ for error in errors for cls in type(error).__mro__}
    text = " ".join(" ".join(str(error).split()) for error in errors)
    what = f"{pin.id}{f' ({part})' if part else ''}"
    page = f"{endpoint()}/{'datasets/' if pin.kind == 'dataset' else ''}{pin.id}"
    for error in errors:
        if (isinstance(error, OSError) and error.errno in _FULL) or "Not enough disk space" in str(error):
            return _disk_full(what, getattr(error, "filename", None))
    if "No space left on device" in text or "File too large" in text:
        return _disk_full(what, None)
    if "GatedRepoError" in names or "gated dataset" in text:
        return f"{pin.id} is gated: accept its terms on {page} and set HF_TOKEN to a token of your account"
    if "RevisionNotFoundError" in names or "Revision '" in text:
        return f"{pin.id} has no revision {pin.revision!r}; see {page}/commits/main, or take main"
    if "OfflineModeIsEnabled" in names or (is_offline() and names & {"LocalEntryNotFoundError", "DatasetNotFoundError"}):
        return _unreachable(what, pin, "HF_HUB_OFFLINE is set and the cache of the library does not have it")
    if is_offline() and "ConnectionError" in names:
        return _unreachable(what, pin, "HF_HUB_OFFLINE is set and the cache of the library does not have it")
    if "RemoteEntryNotFoundError" in names and part:
        return f"{pin.id} has no file {part} at revision {pin.revision}; see {page}"
    if names & {"RepositoryNotFoundError", "DatasetNotFoundError", "HFValidationError", "DisabledRepoError"}:
        kind = "data set" if pin.kind == "dataset" else "model"
        return f"there is no {kind} {pin.id!r} on {endpoint()}, or it is private; for a private one set HF_TOKEN"
    if "Consistency check failed" in text or "RemoteProtocolError" in names or "IncompleteRead" in names:
        return f"the download of {what} from {endpoint()} was cut short; nothing of it is kept as data, try again"
    status = next((getattr(getattr(error, "response", None), "status_code", None) for error in errors), None)
    if status:
        return _unreachable(what, pin, f"it answers with the error {status}")
    lost = {"ConnectError", "ConnectionError", "TimeoutException", "TimeoutError", "TransportError", "NetworkError", "gaierror"}
    if names & lost or "LocalEntryNotFoundError" in names:
        reason = next((str(error) for error in reversed(errors) if str(error)), "")
        return _unreachable(what, pin, " ".join(reason.split())[:160] or type(errors[-1]).__name__)
    return None


def _unreachable(what: str, pin: Pin, reason: str) -> str:
    own = "text of your own (CustomData)" if pin.kind == "dataset" else "tokenizer.json of your own (tokenizer=file)"
    return (
        f"{what} is wanted from {endpoint()}, which does not give it: {reason}. Nothing was put in its place. Try again later; "
        f"or set HF_ENDPOINT to a mirror, or HF_HUB_OFFLINE=1 where the Hugging Face cache has it; or take a {own}"
    )


def _disk_full(what: str, file: str | bytes | None) -> str:
    home = os.environ.get("HF_HOME") or os.path.expanduser("~/.cache/huggingface")
    place = os.path.dirname(os.fsdecode(file)) if file else home
    free = shutil.disk_usage(place).free // 2**20 if os.path.isdir(place) else 0
    return f"the disk is full: {what} has no room in {place} ({free:,} MiB free); make room, or set HF_HOME to another disk"


def _plainly(pin: Pin, part: str, error: Exception) -> str:
    reason = " ".join(str(error).split())[:300] or type(error).__name__
    return f"{pin.id}{f' ({part})' if part else ''} cannot be had from {endpoint()}: {reason}"
