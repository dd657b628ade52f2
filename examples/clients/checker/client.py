"""The door to a mesh: calls with a token, typed errors, and the retries that the contract names."""

import os
import sys
import threading
import time

# The stubs: of ATOLL_STUBS, or of the folder `gen` that generate.sh fills.
STUBS = os.environ.get("ATOLL_STUBS") or os.path.join(os.path.dirname(os.path.abspath(__file__)), "gen")
sys.path.insert(0, STUBS)

import grpc  # noqa: E402
from atoll.error.v1 import error_reason_pb2  # noqa: E402
from atoll.gateway.v1 import gateway_service_pb2_grpc  # noqa: E402
from atoll.session.v1 import session_service_pb2_grpc  # noqa: E402
from google.rpc import error_details_pb2, status_pb2  # noqa: E402

# How long one call may take before the checker gives up, in seconds; generous, for machines that are busy with something else.
PATIENCE = float(os.environ.get("ATOLL_PATIENCE", "120"))
RETRY_CODES = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED}


class AtollError(Exception):
    """An error of the mesh with its details, from a gRPC status or from a ChatError."""

    def __init__(self, code, message, reason="", domain="", metadata=None, field_paths=(), retry_ms=0):
        super().__init__(f"{reason or 'no reason'} (code {code}): {message}")
        self.code = code
        self.message = message
        self.reason = reason
        self.domain = domain
        self.metadata = dict(metadata or {})
        self.field_paths = list(field_paths)
        self.retry_ms = retry_ms

    @classmethod
    def of_call(cls, error):
        """Reads google.rpc.Status from the trailer `grpc-status-details-bin`."""
        found = cls(error.code().value[0], error.details() or "")
        for key, value in error.trailing_metadata() or ():
            if key != "grpc-status-details-bin":
                continue
            for detail in status_pb2.Status.FromString(value).details:
                if detail.Is(error_details_pb2.ErrorInfo.DESCRIPTOR):
                    info = error_details_pb2.ErrorInfo.FromString(detail.value)
                    found.reason, found.domain, found.metadata = info.reason, info.domain, dict(info.metadata)
                elif detail.Is(error_details_pb2.BadRequest.DESCRIPTOR):
                    request = error_details_pb2.BadRequest.FromString(detail.value)
                    found.field_paths = [violation.field for violation in request.field_violations]
                elif detail.Is(error_details_pb2.RetryInfo.DESCRIPTOR):
                    delay = error_details_pb2.RetryInfo.FromString(detail.value).retry_delay
                    found.retry_ms = delay.seconds * 1000 + delay.nanos // 1000000
        found.args = (f"{found.reason or 'no reason'} (code {found.code}): {found.message}",)
        return found

    @classmethod
    def of_frame(cls, error):
        """Reads a ChatError, which has the same as fields. It has no domain: it can only be Atoll's own."""
        name = error_reason_pb2.ErrorReason.Name(error.reason).removeprefix("ERROR_REASON_")
        return cls(error.code, error.message, name, "atoll", error.metadata, error.field_paths, error.retry_after_ms)


class Mesh:
    """A mesh at an address, for the holder of a token. Errors that it answers are handed to `on_error`."""

    def __init__(self, address, token, on_error=lambda error: None):
        self.channel = grpc.insecure_channel(address, options=[("grpc.max_receive_message_length", 33554432)])
        self.gateway = gateway_service_pb2_grpc.GatewayServiceStub(self.channel)
        self.sessions = session_service_pb2_grpc.SessionServiceStub(self.channel)
        self.metadata = [("authorization", f"Bearer {token}")]
        self.on_error = on_error

    def connect(self):
        """Waits until the mesh answers at all."""
        grpc.channel_ready_future(self.channel).result(timeout=30)

    def call(self, method, request):
        """One unary call, made again as atoll/error/v1/error_reason.proto says: the same request, with growing waits."""
        wait, last = 0.1, time.monotonic() + PATIENCE
        while True:
            try:
                return method(request, metadata=self.metadata, timeout=PATIENCE)
            except grpc.RpcError as error:
                found = AtollError.of_call(error)
                again = error.code() in RETRY_CODES or found.retry_ms > 0
                if not again or time.monotonic() > last:
                    if found.reason:
                        self.on_error(found)
                    raise found from error
                time.sleep(max(wait, found.retry_ms / 1000))
                wait = min(wait * 2, 10)

    def refused(self, method, request):
        """The error that a call answers with, or None when it was taken."""
        try:
            self.call(method, request)
        except AtollError as error:
            return error
        return None

    def stream(self, method, request):
        """Opens a stream; close it with `.cancel()`."""
        return method(request, metadata=self.metadata, timeout=PATIENCE)

    def responses(self, stream):
        """The responses of a stream; its error, if it ends with one, as AtollError."""
        try:
            yield from stream
        except grpc.RpcError as error:
            found = AtollError.of_call(error)
            if found.reason:
                self.on_error(found)
            raise found from error


class Frames:
    """The requests of a stream that both sides write: an iterator that is fed from outside."""

    def __init__(self):
        self._frames, self._ended, self._news = [], False, threading.Condition()

    def put(self, frame):
        """Sends one more."""
        with self._news:
            self._frames.append(frame)
            self._news.notify()

    def end(self):
        """No more come."""
        with self._news:
            self._ended = True
            self._news.notify()

    def __iter__(self):
        return self

    def __next__(self):
        with self._news:
            while not self._frames:
                if self._ended:
                    raise StopIteration
                self._news.wait()
            return self._frames.pop(0)
