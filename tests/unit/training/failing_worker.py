"""A started process that fails in its third step, as test_processes has it started."""

from __future__ import annotations

import sys

from moonshelf.errors import DataError
from moonshelf.training import worker
from moonshelf.training.stages.align import AlignStage

if __name__ == "__main__":
    embed, calls = AlignStage.embed, [0]

    def broken(self, batch):
        calls[0] += 1
        if calls[0] > 4:
            raise DataError("a picture is broken", where="row 5", cure="mend the picture")
        return embed(self, batch)

    AlignStage.embed = broken
    sys.exit(worker.main())
