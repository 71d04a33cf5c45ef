#!/usr/bin/env python3
"""Writes tests/data/events.tfevents with TensorBoard's own record writer and protobuf messages (tensorboard 2.21):
what tests/test_watch.c expects engine/run/events.c to write, byte for byte.

    python3 tests/tools/make_events_fixture.py tests/data/events.tfevents
"""
import sys

from tensorboard.compat.proto import event_pb2, summary_pb2, tensor_pb2, tensor_shape_pb2, types_pb2
from tensorboard.summary.writer.record_writer import RecordWriter


def scalar(tag, value):
    return summary_pb2.Summary.Value(tag=tag, simple_value=value)


def text(tag, value):
    shape = tensor_shape_pb2.TensorShapeProto(dim=[tensor_shape_pb2.TensorShapeProto.Dim(size=len(value))])
    return summary_pb2.Summary.Value(
        tag=tag,
        tensor=tensor_pb2.TensorProto(dtype=types_pb2.DT_STRING, tensor_shape=shape, string_val=value),
        metadata=summary_pb2.SummaryMetadata(
            plugin_data=summary_pb2.SummaryMetadata.PluginData(plugin_name="text"),
            data_class=summary_pb2.DATA_CLASS_TENSOR))


events = [
    event_pb2.Event(wall_time=1700000000.25, file_version="brain.Event:2"),
    event_pb2.Event(wall_time=1700000000.5, step=200,
                    session_log=event_pb2.SessionLog(status=event_pb2.SessionLog.START)),
    event_pb2.Event(wall_time=1700000001.0, step=300, summary=summary_pb2.Summary(value=[
        scalar("loss", -0.5), scalar("task/size", 7), scalar("sometimes", 1e-3),
        scalar("entropy_by_place/1", 0.25), scalar("entropy_by_place/3", 0.75)])),
    event_pb2.Event(wall_time=1700000002.0, step=301, summary=summary_pb2.Summary(value=[
        text("completions", ["a *b*\né".encode()])])),
]
with open(sys.argv[1], "wb") as out:
    writer = RecordWriter(out)
    for event in events:
        writer.write(event.SerializeToString(deterministic=True))
    writer.flush()
