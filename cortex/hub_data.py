"""A data set of the hub, through the `datasets` library: fetched with its progress told, then read row by row.

Importable alone: corpus.py and hub.py; `datasets` is loaded when a data set is fetched.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from cortex.corpus import CorpusError, in_blocks, row_text
from cortex.hub import PATIENCE, Pin, check_id, commit_of, endpoint, faults, is_offline, patiently

_ROWS = 64  # read at once; a row may be a whole book


class HubText:
    """The text of a data set: `fetch`, then `blocks`.

    Args:
        config: its name, empty where there is only one.
        column: the column of text.
    """

    def __init__(self, id: str, config: str, revision: str, column: str) -> None:
        self.id, self.config, self.revision, self.column = id, config, revision, column
        self._splits: Any = None

    def fetch(self, progress: Callable[[str, float | None], None]) -> None:
        """Have the data set in the library's cache. CorpusError says what is wrong, within 30 s where the hub is gone."""
        if self._splits is not None:
            return
        check_id(self.id, "id")
        pin = Pin("dataset", self.id, self.revision)
        progress(f"contacting {endpoint()} about {self.id}", None)
        commit = commit_of(pin, "id")  # at once, and with the reason, where the library would try for minutes
        import datasets
        from datasets.packaged_modules import _PACKAGED_DATASETS_MODULES

        if self.id in _PACKAGED_DATASETS_MODULES:  # the library would read files of the working directory
            raise CorpusError(f"id: {self.id} is a format and no data set of the hub, expected OWNER/NAME")
        datasets.disable_progress_bars()
        datasets.logging.set_verbosity(50)
        from huggingface_hub.utils import disable_progress_bars, logging

        disable_progress_bars()
        logging.set_verbosity(50)
        with faults(pin, "id", self.config):
            try:
                self._splits = self._load(datasets, commit, progress, "reuse_dataset_if_exists")
            except Exception as error:
                if not _is_damaged(error):
                    raise
                progress(f"{self.id} has come damaged, fetching it again", None)
                try:
                    self._splits = self._load(datasets, commit, progress, "force_redownload")
                except Exception as again:
                    if _is_damaged(again):
                        raise CorpusError(f"id: {_damaged(self.id, again)}") from None
                    raise

    def _load(self, datasets: Any, commit: str, progress: Callable[[str, float | None], None], mode: str) -> Any:
        """What `datasets.load_dataset` does, in its two steps, so that between them it is known how much will come."""
        progress(f"contacting {endpoint()} about {self.id}", None)
        try:
            builder = patiently(
                lambda: datasets.load_dataset_builder(
                    f"hf://datasets/{self.id}", self.config or None, revision=self.revision, download_mode=mode
                ),
                lambda: 0,
                lambda: progress(f"contacting {endpoint()} about {self.id}", None),
            )  # fmt: skip
        except ValueError as error:
            raise self._no_config(str(error)) from None
        except RuntimeError as error:
            if "scripts are no longer supported" in str(error):
                raise CorpusError(
                    f"id: {self.id} is a loading script, which this version of datasets does not run; many have their data at "
                    "revision refs/convert/parquet"
                ) from None
            raise
        if not Pin("dataset", self.id, commit).moves() and builder.hash != commit:
            # Where the hub fails, the library takes any revision that its cache has.
            raise ConnectionError(f"the cache of the library has revision {builder.hash} of it, not {commit}")
        meter = _Meter(self.id, builder.hash, _files(builder, self.id))
        label = f"{self.id} {builder.config.name}" if builder.config.name != "default" else self.id

        def heard() -> None:
            if meter.total and meter.missing():
                progress(f"downloading {label}, {meter.total / 1e6:,.1f} MB", min(1.0, meter.bytes() / meter.total))
            else:
                progress(f"reading {label}", None)

        try:
            patiently(lambda: builder.download_and_prepare(download_mode=mode), meter.moved, heard)
        except TimeoutError:
            if not meter.bytes():
                raise
            come = f"{meter.bytes() / 1e6:,.1f} of {(meter.total or 0) / 1e6:,.1f} MB came"
            raise CorpusError(
                f"id: the download of {label} from {endpoint()} was cut short: {come}, then nothing for {PATIENCE:.0f} s; "
                "nothing of it is kept as data, try again"
            ) from None
        return builder.as_dataset()

    def _no_config(self, text: str) -> CorpusError:
        listed = re.search(r"(?:Available|among the available configs): (\[.*?\])", text)
        if not listed:
            raise CorpusError(f"id: {self.id} cannot be read: {' '.join(text.split())[:300]}")
        names = ", ".join(re.findall(r"'([^']*)'", listed[1]))
        found = f"{self.id} has no configuration {self.config!r}" if self.config else f"{self.id} has several configurations"
        return CorpusError(f"config: {found}, expected one of {names}")

    def rows(self, split: str, where: str) -> int:
        """The number of rows of a split of the hub's; CorpusError lists the splits and columns that there are."""
        if split not in self._splits:
            raise CorpusError(f"{where}: {self.id} has no split {split!r}, expected one of {', '.join(self._splits)}")
        features = self._splits[split].features
        if self.column not in features:
            raise CorpusError(f"text_column: {self.id} has no column {self.column!r}, expected one of {', '.join(features)}")
        kind = getattr(features[self.column], "dtype", "")
        if kind not in ("string", "large_string", "string_view"):
            texts = [name for name, feature in features.items() if getattr(feature, "dtype", "").endswith("string")]
            raise CorpusError(
                f"text_column: column {self.column!r} of {self.id} holds no text; those that do: {', '.join(texts) or 'none'}"
            )
        return len(self._splits[split])

    def blocks(self, split: str, low: int, high: int) -> Iterator[str]:
        """The rows from `low` to `high` of a split in blocks, each row ending with a line's end."""
        return in_blocks(self._rows(split, low, high))

    def _rows(self, split: str, low: int, high: int) -> Iterator[str]:
        chosen = self._splits[split].select_columns([self.column])
        if (low, high) != (0, len(chosen)):
            chosen = chosen.select(range(low, high))
        number = low
        for batch in chosen.with_format("arrow").iter(_ROWS):
            for row in batch.column(0).to_pylist():
                number += 1
                try:
                    yield row_text(row)
                except UnicodeEncodeError:
                    raise CorpusError(f"text_column: row {number:,} of {self.id} holds half of a character") from None

    def bytes(self, split: str) -> int | None:
        """About how much text a split has, as the library says."""
        info = (self._splits[split].info.splits or {}).get(split) if self._splits is not None else None
        return info.num_bytes if info else None


class _Meter:
    """How much of some files of the hub has come, read off the library's cache. `files` maps their names to their sizes."""

    def __init__(self, id: str, commit: str, files: dict[str, int | None]) -> None:
        from huggingface_hub.constants import HF_HUB_CACHE

        self._id, self._commit, self._files = id, commit, files
        self._folder = Path(HF_HUB_CACHE) / f"datasets--{id.replace('/', '--')}" / "blobs"
        sizes = files.values()
        self.total = sum(sizes) if files and None not in sizes else None

    def missing(self) -> list[str]:
        """The files that are not whole yet."""
        from huggingface_hub import try_to_load_from_cache

        found = {
            name: try_to_load_from_cache(self._id, name, revision=self._commit, repo_type="dataset") for name in self._files
        }
        return [name for name, path in found.items() if not isinstance(path, str)]

    def bytes(self) -> int:
        """What has come, of the files that are not whole as well."""
        whole = (self.total or 0) - sum(self._files[name] or 0 for name in self.missing())
        return whole + sum(_size(path) for path in self._folder.glob("*.incomplete"))

    def moved(self) -> int:
        """Grows while the download does, and while what was downloaded is read: that may take as long as it likes."""
        return self.bytes() if self.missing() else (self.total or 0) + int(time.monotonic())


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:  # renamed in between
        return 0


def _files(builder: Any, id: str) -> dict[str, int | None]:
    """The files that a data set consists of with their sizes; CorpusError where one of them lies elsewhere."""
    from huggingface_hub import HfFileSystem

    system = HfFileSystem(endpoint=endpoint())
    sizes: dict[str, int | None] = {}
    for file in [str(file) for files in (builder.config.data_files or {}).values() for file in files]:
        place = re.fullmatch(r"hf://datasets/[^@:]+@[^/]+/(.+)", file)
        if not place:
            raise CorpusError(f"id: {id} names the file {file}, which is not its own; it is not read")
        try:
            sizes[place[1]] = None if is_offline() else system.info(file)["size"]
        except Exception:  # then there is no share to tell
            sizes[place[1]] = None
    return sizes


def _is_damaged(error: BaseException | None) -> bool:
    while error is not None:
        names = {cls.__name__ for cls in type(error).__mro__}
        if names & {"ArrowInvalid", "SplitsVerificationError", "ChecksumVerificationError", "DatasetGenerationCastError"}:
            return True
        error = error.__cause__ or error.__context__
    return False


def _damaged(id: str, error: BaseException) -> str:
    reason = " ".join(str(error.__cause__ or error).split())[:200]
    return f"what {endpoint()} gives as {id} is damaged, also when fetched again: {reason}"
