"""Event files hold what each epoch reached, and can be read while training runs."""

import struct

from tensorboardX.proto.event_pb2 import Event

from backproof.reporting.events import events_in
from backproof.training import Epoch


def read(folder):
    """Return tag, step and value of every scalar: records of length, checksum, event, checksum."""
    found = []
    for path in sorted(folder.iterdir()):
        data, at = path.read_bytes(), 0
        while at < len(data):
            (length,) = struct.unpack_from("<Q", data, at)
            event = Event.FromString(data[at + 12 : at + 12 + length])
            found += [(value.tag, event.step, value.simple_value) for value in event.summary.value]
            at += 12 + length + 4
    return found


def test_each_epoch_is_written_as_it_ends(tmp_path):
    with events_in(tmp_path, "test accuracy") as write:
        write(Epoch(1, 0.5, 0.25))
        write(Epoch(2, 0.125, None))
    assert sorted(read(tmp_path)) == [("loss", 1, 0.5), ("loss", 2, 0.125), ("test_accuracy", 1, 0.25)]
