"""A started process of a run: reads its job, joins the group, follows the leader to the end.

Run by processes.py as ``python -m moonshelf.training.worker``; the job is the first line of stdin.
The rest of stdin never comes: when it ends, the leader has ended, and so does this process.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import threading
import traceback


def main() -> int:
    """Follows the run of the job on stdin; 0 when the run is done."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to all; the leader decides
    told = json.loads(_line())
    threading.Thread(target=_end_with_leader, args=(told["folder"],), daemon=True).start()
    from moonshelf.training.processes import Job, arrive, report_failure

    job = Job(**told)
    try:
        from moonshelf.training.run import follow

        arrive(job)
        follow(job)
    except BaseException as error:
        report_failure(job, error, traceback.format_exc())
        # At once: what waits in C++ for the others could not be waited for.
        os._exit(1)
    return 0


def _line() -> bytes:
    """The first line of stdin, and not a byte more: the rest is the watch's."""
    found = bytearray()
    while not found.endswith(b"\n"):
        byte = os.read(0, 1)
        if not byte:
            os._exit(1)
        found += byte
    return bytes(found)


def _end_with_leader(folder: str) -> None:
    while os.read(0, 1):
        pass
    shutil.rmtree(folder, ignore_errors=True)
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main())
