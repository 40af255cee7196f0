"""An event file of TensorBoard, written where events are made: what the disk refuses is raised there.

tensorboardX's own writer leaves events to a thread, which ends with a traceback when the disk is full; then
whoever adds events waits for it forever.
"""

import time
from pathlib import Path
from typing import Any

import numpy as np

_POSITIVE = 1e-12 * 1.1 ** np.arange(774)  # up to 1e20
_BINS = np.concatenate([-_POSITIVE[::-1], [0.0], _POSITIVE])
"""TensorBoard's own edges: tight around zero, and wider by a tenth each."""
_SECONDS_APART = 20.0  # between two flushes, so that TensorBoard sees the file grow


class EventFile:
    """One event file.

    Args:
        folder: is made; the file in it has the name that TensorBoard looks for.
        purge_step: events from this step on, of files before, are no longer shown.

    """

    def __init__(self, folder: Path, purge_step: int | None = None) -> None:
        from tensorboardX.event_file_writer import EventsWriter
        from tensorboardX.proto.event_pb2 import Event, SessionLog  # pyright: ignore[reportAttributeAccessIssue]

        folder.mkdir(parents=True, exist_ok=True)
        self._event, self._flushed, self._closed = Event, time.monotonic(), False
        self._writer = EventsWriter(str(folder / "events"))
        if purge_step is not None:
            self.add(step=purge_step, file_version="brain.Event:2")
            self.add(step=purge_step, session_log=SessionLog(status=SessionLog.START))

    def add(self, step: int | None = None, **content: Any) -> None:
        """Write an event, such as `graph_def=...` or `summary=...`."""
        event = self._event(wall_time=time.time(), **content)
        if step is not None:
            event.step = int(step)
        self._writer.write_event(event)
        if time.monotonic() - self._flushed > _SECONDS_APART:
            self.flush()

    def scalar(self, tag: str, value: float, step: int) -> None:
        """Write a number."""
        from tensorboardX.summary import scalar

        self.add(step, summary=scalar(tag, value))

    def histogram(self, tag: str, values: np.ndarray, step: int) -> None:
        """Write the distribution of an array."""
        from tensorboardX.summary import histogram

        self.add(step, summary=histogram(tag, values, _BINS))

    def image(self, tag: str, image: np.ndarray, step: int) -> None:
        """Write a picture (H, W, C)."""
        from tensorboardX.summary import image as picture

        self.add(step, summary=picture(tag, image, dataformats="HWC"))

    def flush(self) -> None:
        """Hand everything to the disk."""
        self._writer.flush()
        self._flushed = time.monotonic()

    def close(self) -> None:
        """Close the file; once more does nothing."""
        if not self._closed:
            self._closed = True
            self._writer.close()
