"""The ways of reading a log, each as a function that checks what its own comments promise, and a reader that cuts its streams."""

import itertools
import random
import threading

from atoll.gateway.v1 import chat_pb2, gateway_service_pb2 as gateway
from atoll.session.v1 import session_service_pb2 as sessions, watch_pb2
from client import AtollError, Frames
from fold import Fold
from sequence import check_overlap, check_stream

_numbers = itertools.count(1)


def list_events(mesh, report, session_id, cursor=0, page_size=0, include=(), exclude=()):
    """All pages of ListEvents behind a cursor."""
    where, found, token, log_id = f"ListEvents({page_size}) from {cursor}", [], "", None
    while True:
        request = sessions.ListEventsRequest(session_id=session_id, page_size=page_size, page_token=token)
        request.cursor.after_seq = cursor
        request.filter.include.extend(include)
        request.filter.exclude.extend(exclude)
        page = mesh.call(mesh.sessions.ListEvents, request)
        report.check(len(page.events) <= (page_size or 500), "a page has no more than was asked for", where)
        report.check(log_id in (None, page.log_id), "a log keeps its name", where)
        log_id, token = page.log_id, page.next_page_token
        found.extend(page.events)
        if not token:
            last = found[-1].seq if found else cursor
            report.check(last == page.head_seq, "the last page reaches the head", f"{where}: {last} of {page.head_seq}")
            check_stream(report, found, cursor, where)
            return found, log_id


def snapshot(mesh, report, session_id, page_bytes=0):
    """All pages of GetSnapshot."""
    where, found, token, head = f"GetSnapshot({page_bytes})", [], "", 0
    while True:
        page = mesh.call(mesh.sessions.GetSnapshot, sessions.GetSnapshotRequest(session_id=session_id, page_token=token, page_bytes=page_bytes))
        large = len(page.events) > 1 and sum(event.ByteSize() for event in page.events) > (page_bytes or 1000000)
        report.check(not large, "a page of a snapshot has the bytes that were asked for", where)
        report.check(page.head_seq >= head, "the pages of a snapshot end at one seq", where)
        head, token = page.head_seq, page.next_page_token
        found.extend(page.events)
        if not token:
            last = found[-1].seq if found else 0
            report.check(last == head, "a snapshot reaches its seq", f"{where}: {last} of {head}")
            check_stream(report, found, 0, where)
            return found


def _request(session_id, cursor, log_id, until, include, exclude):
    request = gateway.SubscribeRequest(session_id=session_id, after_seq=cursor, log_id=log_id, until_run_id=until)
    request.filter.include.extend(include)
    request.filter.exclude.extend(exclude)
    return request


def subscribe(mesh, session_id, cursor=0, log_id="", until="", include=(), exclude=()):
    """Subscribe: (events, log_id, head_seq) of each response."""
    stream = mesh.stream(mesh.gateway.Subscribe, _request(session_id, cursor, log_id, until, include, exclude))
    try:
        for response in mesh.responses(stream):
            yield response.events, response.log_id, response.head_seq
    finally:
        stream.cancel()


def subscribe_sessions(mesh, session_id, cursor=0, log_id="", until="", include=(), exclude=()):
    """SubscribeSessions, with the session as its second subscription and one that fails as its first."""
    request = gateway.SubscribeSessionsRequest()
    request.subscriptions.add(session_id="ses_00000000000000000000000000")
    request.subscriptions.append(_request(session_id, cursor, log_id, until, include, exclude))
    stream = mesh.stream(mesh.gateway.SubscribeSessions, request)
    try:
        for response in mesh.responses(stream):
            if response.HasField("error"):
                error = AtollError.of_frame(response.error)
                mesh.on_error(error)
                if response.subscription == 1:
                    raise error
            elif response.subscription == 1 and response.ended:
                return
            elif response.subscription == 1:
                yield response.events, response.log_id, response.head_seq
    finally:
        stream.cancel()


def watch(mesh, session_id, cursor=0, log_id="", until="", include=(), exclude=()):
    """SessionService.Watch; it knows no `until`."""
    frames, watch_id = Frames(), 7
    create = watch_pb2.WatchCreate(watch_id=watch_id, session_id=session_id)
    create.cursor.after_seq, create.cursor.log_id = cursor, log_id
    create.filter.include.extend(include)
    create.filter.exclude.extend(exclude)
    frames.put(watch_pb2.WatchRequest(create=create))
    stream = mesh.stream(mesh.sessions.Watch, frames)
    try:
        name = ""
        for response in mesh.responses(stream):
            kind = response.WhichOneof("frame")
            if kind == "created":
                name = response.created.log_id
            elif kind == "batch":
                yield response.batch.events, response.batch.log_id, response.batch.head_seq
            elif kind == "progress":
                yield [], name, response.progress.head_seq
            elif kind == "cancelled":
                ended = response.cancelled
                told = chat_pb2.ChatError(code=ended.code, reason=ended.reason, message=ended.message, metadata=ended.metadata)
                # It lists no paths: the first one stands in the metadata.
                told.field_paths.extend(filter(None, [ended.metadata.get("field")]))
                error = AtollError.of_frame(told)
                mesh.on_error(error)
                raise error
    finally:
        stream.cancel()
        frames.end()


def chat(mesh, session_id, cursor=0, log_id="", until="", include=(), exclude=()):
    """An open session of Chat; it knows no `until`, and its responses without events are none of the session's."""
    frames = Frames()
    opening = chat_pb2.ChatOpen(session_id=session_id)
    opening.cursor.after_seq, opening.cursor.log_id = cursor, log_id
    opening.filter.include.extend(include)
    opening.filter.exclude.extend(exclude)
    frames.put(chat_pb2.ChatRequest(request_id=f"open-{next(_numbers)}", open=opening))
    stream = mesh.stream(mesh.gateway.Chat, frames)
    try:
        for response in mesh.responses(stream):
            kind = response.WhichOneof("frame")
            if kind == "events":
                yield response.events.events, response.events.log_id, response.events.head_seq
            elif kind == "error":
                error = AtollError.of_frame(response.error)
                mesh.on_error(error)
                raise error
    finally:
        stream.cancel()
        frames.end()


STREAMS = {"Subscribe": subscribe, "SubscribeSessions": subscribe_sessions, "Watch": watch, "Chat": chat}


def batches(mesh, report, way, session_id, cursor=0, log_id="", where="", **more):
    """The batches of events of one stream, with the checks of each response."""
    reached, head = cursor, 0
    where = where or f"{way} from {cursor}"
    for events, name, head_seq in STREAMS[way](mesh, session_id, cursor, log_id, **more):
        report.check(name == log_id or not log_id, "a log keeps its name", where)
        report.check(head_seq >= head, "the head of a stream does not go back", f"{where}: {head_seq} after {head}")
        head = head_seq
        if events:
            reached = events[-1].seq
        else:
            report.check(head_seq <= reached, "a sign of life says that all was delivered", f"{where}: head {head_seq}, delivered {reached}")
        report.check(head_seq >= reached, "the head is not behind what was delivered", f"{where}: {head_seq}, {reached}")
        yield list(events), name, head_seq


def read_to(mesh, report, way, session_id, to_seq, cursor=0, log_id="", **more):
    """What one stream gives behind a cursor, up to a seq."""
    found = []
    if cursor >= to_seq:
        return found
    for events, _, _ in batches(mesh, report, way, session_id, cursor, log_id, **more):
        found.extend(events)
        if found and found[-1].seq >= to_seq:
            break
    check_stream(report, found, cursor, f"{way} from {cursor}")
    return found


class Follower(threading.Thread):
    """Follows a session while it is written to. A cutting one breaks its stream at random, now and then in the middle of a batch,
    and goes on from its cursor, by any way. `seqs` are the places at which it really was."""

    def __init__(self, mesh, report, session_id, name, cuts=True, seed=0, ways=tuple(STREAMS)):
        super().__init__(daemon=True, name=name)
        self.mesh, self.report, self.session_id, self.cuts, self.ways = mesh, report, session_id, cuts, ways
        self.random = random.Random(seed)
        self.fold = Fold(report, name)
        self.events, self.seqs, self.pieces = [], [], 0
        self.cursor, self.log_id, self.failure = 0, "", None
        self.last = threading.Event()
        self.to_seq = None
        self.reached = threading.Condition()

    def finish(self, to_seq, patience):
        """Waits until the follower has read up to a seq; says whether it has."""
        self.to_seq = to_seq
        with self.reached:
            self.reached.wait_for(lambda: self.cursor >= to_seq or self.failure, timeout=patience)
        self.last.set()
        return self.cursor >= to_seq

    def wait_for(self, test, patience):
        """Waits until an event is there that the test takes; gives it, or None."""
        found = []

        def look():
            found[:] = [event for event in self.events if test(event)][:1]
            return found or self.failure

        with self.reached:
            self.reached.wait_for(look, timeout=patience)
        return found[0] if found else None

    def run(self):
        """Reads until `finish` has seen what it waits for. A session that is quiet is given up on now and then, too."""
        try:
            while not self.last.is_set() and (self.to_seq is None or self.cursor < self.to_seq):
                self._piece()
        except Exception as error:  # pylint: disable=broad-except
            self.failure = error
            self.report.check(False, "a stream goes on behind its cursor", f"{self.name}: {error!r}")
        with self.reached:
            self.reached.notify_all()

    def _piece(self):
        """One stream, until it is cut."""
        way = self.random.choice(self.ways)
        budget = self.random.randint(1, 40) if self.cuts else 2**62
        where, begun, found = f"{self.name}, {way} from {self.cursor}", self.cursor, []
        self.pieces += 1
        self.fold.resume()
        stream = batches(self.mesh, self.report, way, self.session_id, self.cursor, self.log_id, where=where)
        for events, log_id, _ in stream:
            self.log_id = log_id or self.log_id
            with self.reached:
                for event in events[:budget]:
                    if not found:
                        check_overlap(self.report, self.events, event, where)
                    found.append(event)
                    self.fold.apply(event)
                    self.events.append(event)
                    self.seqs.append(event.seq)
                    self.cursor = event.seq
                self.reached.notify_all()
            budget -= len(events)
            if budget <= 0 or self.last.is_set() or (self.to_seq is not None and self.cursor >= self.to_seq):
                break
        stream.close()
        check_stream(self.report, found, begun, where)
