"""The rows of a task on disk: flat arrays, and beside them where each row begins (store.py reads them)."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from cortex.encode import TextSource
from cortex.encode_rows import encoded_rows, offsets
from cortex.store import LABELS, OFFSETS, SOURCE, SOURCE_OFFSETS, TOKENS
from cortex.tokenizer import Tokenizer


def write_rows(
    source: TextSource,
    split: str,
    tokenizer: Tokenizer,
    labels: Sequence[str],
    folder: Path,
    heard: Callable[[int], None],
) -> dict[str, Any]:
    """Write one split, a row at a time; its counts come out: `rows`, `tokens` read and written, `bytes` of text, `unknown`
    tokens, and the size of each file.

    Args:
        heard: is called now and then with the number of rows that are done, and can end the work by raising.
    """
    task, counts = source.task, {"rows": 0, "tokens": 0, "bytes": 0, "unknown": 0, "lossless": False}
    ends = [TOKENS] + ([SOURCE] if task == "Pairs" else [LABELS])
    lengths: dict[str, list[int]] = {OFFSETS: [], **({SOURCE_OFFSETS: []} if task == "Pairs" else {})}
    texts = _Measured(source.rows(split))
    with contextlib.ExitStack() as stack:
        files = {end: stack.enter_context(open(folder / f"{split}.{end}", "wb")) for end in ends}
        for row in encoded_rows(texts, task, tokenizer, labels):
            files[TOKENS].write(row.tokens.tobytes())
            lengths[OFFSETS].append(len(row.tokens))
            if task == "Pairs":
                files[SOURCE].write(row.source.tobytes())
                lengths[SOURCE_OFFSETS].append(len(row.source))
            else:
                files[LABELS].write(row.labels.tobytes())
            counts["rows"] += 1
            counts["tokens"] += len(row.tokens) + len(row.source) + (task == "Pairs")  # <eos> begins what is written
            for ids in (row.tokens, row.source):
                counts["unknown"] += int((ids == tokenizer.unk).sum()) if tokenizer.unk is not None else 0
            if counts["rows"] % 1000 == 0:
                heard(counts["rows"])
    counts["bytes"] = texts.bytes
    for end, found in lengths.items():
        (folder / f"{split}.{end}").write_bytes(offsets(found).tobytes())
    counts["files"] = {f"{split}.{end}": (folder / f"{split}.{end}").stat().st_size for end in [*ends, *lengths]}
    return counts


class _Measured:
    """Rows as they pass by, and the bytes of their texts."""

    def __init__(self, rows: Any) -> None:
        self._rows, self.bytes = rows, 0

    def __iter__(self) -> Any:
        for row in self._rows:
            self.bytes += sum(len(text.encode()) for text in (row.text, row.source, " ".join(row.words)))
            yield row
