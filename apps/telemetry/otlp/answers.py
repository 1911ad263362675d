"""What the specification wants to hear: a response of each signal, or a google.rpc.Status that says what is wrong."""

import orjson
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse


def answer(signal: str, *, rejected: int, message: str, json: bool) -> bytes:
    """Return the body of a 200. `signal` is "traces" or "logs"; `rejected` of its items were not stored.

    An empty partial success says that all went well (OTLP/HTTP, "Full Success").
    """
    what = "rejectedSpans" if signal == "traces" else "rejectedLogRecords"
    if json:
        said: dict[str, object] = {}
        if rejected:
            said[what] = str(rejected)  # 64-bit numbers are strings in OTLP's JSON
        if message:
            said["errorMessage"] = message
        return orjson.dumps({"partialSuccess": said} if said else {})
    if signal == "traces":
        traces = ExportTraceServiceResponse()
        if rejected or message:
            traces.partial_success.rejected_spans = rejected
            traces.partial_success.error_message = message
        return bytes(traces.SerializeToString())
    logs = ExportLogsServiceResponse()
    if rejected or message:
        logs.partial_success.rejected_log_records = rejected
        logs.partial_success.error_message = message
    return bytes(logs.SerializeToString())


def problem(code: int, message: str, *, json: bool) -> bytes:
    """Return the body of a refusal: google.rpc.Status with a code of gRPC and what to do."""
    if json:
        return orjson.dumps({"code": code, "message": message})
    text = message.encode()
    # Two fields of one small message: int32 code = 1, string message = 2.
    return b"\x08" + _varint(code) + b"\x12" + _varint(len(text)) + text


def _varint(number: int) -> bytes:
    found = bytearray()
    while number > 0x7F:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    found.append(number)
    return bytes(found)
