"""The canonical form of a graph: N-Quads, sorted by bytes, one line a quad.

The same statements give the same bytes in any run, from any order of insertion and under any hash
seed, as no blank node is ever written; two graphs are compared with ``cmp``, and their difference
is ``diff``. Sorting goes through files where the lines do not fit into memory.
"""

from __future__ import annotations

import hashlib
import heapq
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING

from moonshelf.errors import DataError
from moonshelf.files import whole_file
from moonshelf.graph.rdf.iris import Names
from moonshelf.graph.rdf.library import oxigraph

if TYPE_CHECKING:
    from pyoxigraph import Quad, Store

CHUNK = 256 << 20
"""Bytes of lines sorted at one time; they take about 1.5 times as much memory."""


def write_dump(store: Store, path: Path, chunk: int = CHUNK) -> str:
    """Writes all of ``store`` to ``path``, which appears whole or not at all.

    Args:
        store: to be dumped.
        path: the file; an existing one is replaced.
        chunk: bytes of lines held in memory.

    Returns:
        SHA-256 of the file, 64 hex digits.

    Raises:
        DiskFullError: no room for the file, or for twice its size beside it while sorting.
    """
    library = oxigraph()
    summed = hashlib.sha256()
    with (
        whole_file(path) as file,
        tempfile.TemporaryDirectory(dir=path.absolute().parent, prefix=f".{path.name}.") as scratch,
    ):
        unsorted = Path(scratch) / "unsorted"
        with unsorted.open("wb") as lines:
            store.dump(lines, format=library.RdfFormat.N_QUADS)
        for line in sorted_lines(unsorted, Path(scratch), chunk):
            summed.update(line)
            file.write(line)
    return summed.hexdigest()


def sorted_lines(path: Path, scratch: Path, chunk: int = CHUNK) -> Iterator[bytes]:
    """The lines of ``path`` in order of their bytes, each once; sorted runs lie in ``scratch``."""
    runs: list[Path] = []
    with path.open("rb") as file:
        while lines := file.readlines(chunk):
            lines.sort()
            if not runs and file.tell() == path.stat().st_size:
                yield from _once(lines)
                return
            runs.append(scratch / f"run-{len(runs)}")
            with runs[-1].open("wb") as run:
                run.writelines(lines)
    files: list[IO[bytes]] = []
    try:
        files = [run.open("rb") for run in runs]
        yield from _once(heapq.merge(*files))
    finally:
        for file in files:
            file.close()


def read_dump(path: Path, names: Names) -> Iterator[Quad]:
    """The quads of a dump, checked: well-formed, in graphs that ``names`` mints, without blank
    nodes.

    Raises:
        DataError: they are not; or the file cannot be read.
    """
    library = oxigraph()
    try:
        for quad in library.parse(path=path, format=library.RdfFormat.N_QUADS):
            if isinstance(quad.graph_name, library.DefaultGraph) or any(
                not isinstance(term, library.NamedNode)
                for term in (quad.subject, quad.predicate, quad.graph_name)
            ):
                raise DataError(f"not a quad of a graph store: {quad}", where=str(path))
            if not isinstance(quad.object, library.NamedNode | library.Literal):
                raise DataError(f"not a quad of a graph store: {quad}", where=str(path))
            if not quad.graph_name.value.startswith(names.base):
                raise DataError(
                    f"its IRIs do not begin with {names.base}: {quad.graph_name.value}",
                    where=str(path),
                    cure="pass the base of the graph that was dumped",
                )
            yield quad
    except (SyntaxError, OSError, UnicodeDecodeError) as error:
        raise DataError(
            f"not sorted N-Quads: {error}", where=str(path), cure="pass a dump of a graph store"
        ) from error


def _once(lines: Iterable[bytes]) -> Iterator[bytes]:
    last = b""
    for line in lines:
        if line != last:
            yield line
        last = line
