"""Reads one quiet session in every way, and checks that all have read the same, and what the log promises as a whole."""

import random

from atoll.gateway.v1 import gateway_service_pb2 as gateway
from atoll.session.v1 import session_pb2, session_service_pb2 as sessions
from client import AtollError
from errors import check_refused
from fold import Fold
from promises import Judge
from readers import STREAMS, batches, list_events, read_to, snapshot
from sequence import canonical, check_same, check_stream, shows

NO_RUN = "run_00000000000000000000000000"
FILTERS = (
    (("text_delta", "run_finished"), ()),
    ((), ("text_delta", "thinking_delta", "block_completed")),
    (("message_received",), ("run_queued",)),
    (("run_parked",), ()),
)


def fold_of(report, events, where):
    """The conversation that a reader makes of events from the beginning."""
    fold = Fold(report, where)
    for event in events:
        fold.apply(event)
    return fold.view()


class Reading:
    """A session that nobody writes to, and its log as ListEvents gives it."""

    def __init__(self, mesh, report, session_id, seed=0):
        self.mesh, self.report, self.session_id = mesh, report, session_id
        self.random = random.Random(seed)
        self.session = self.get_session()
        self.events, self.log_id = list_events(mesh, report, session_id)
        self.log = canonical(self.events)
        self.head = self.events[-1].seq if self.events else 0
        self.view = fold_of(report, self.events, session_id)

    def get_session(self):
        """GetSession."""
        return self.mesh.call(self.mesh.sessions.GetSession, sessions.GetSessionRequest(session_id=self.session_id)).session

    def check_all(self, cursors=None, some=24, pages=(3, 29)):
        """All checks. `cursors`: places where a reader really was, default the ends of events; `some` of them are taken, 0 for all.
        `pages`: of how many events the pages of lists are."""
        self.check_log()
        self.check_runs()
        places = sorted(set(cursors or [event.seq for event in self.events]))
        if some and len(places) > some:
            places = sorted(self.random.sample(places, some))
        self.check_lists(places, pages)
        self.check_streams(places)
        self.check_filters()
        self.check_until()
        self.check_refusals()
        self.check_index()

    def check_log(self):
        """The promises of the log as a whole, and of the session beside it."""
        judge = Judge(self.report, self.session_id, self.session.forked_at_seq).judge(self.events)
        closed = self.session.state == 4
        quiet = not self.session.active_run_id and not self.session.queued_runs
        if quiet:
            judge.check_end(closed)
            judge.life.check_session(self.session, not judge.lossy)
        else:
            self.report.note(f"{self.session_id} has runs at work: what holds at the end was not checked")
        self.report.check(self.session.log_id == self.log_id, "a log keeps its name", self.session_id)
        self.report.check(self.session.head_seq == self.head, "the session has the head of its log", f"{self.session.head_seq} of {self.head}")
        self.judge = judge

    def check_runs(self):
        """ListRuns in pages, against the log. A fork's copied runs are the original's."""
        promise, runs = "ListRuns says what the log says", {}
        for page_size in (1, 0):
            token, found = "", []
            while True:
                request = sessions.ListRunsRequest(session_id=self.session_id, page_size=page_size, page_token=token)
                page = self.mesh.call(self.mesh.sessions.ListRuns, request)
                found.extend(page.runs)
                token = page.next_page_token
                if not token:
                    break
            ids = [run.run_id for run in found]
            self.report.check(len(ids) == len(set(ids)), "the pages of a list do not overlap", ids)
            self.report.check(not runs or runs == {run.run_id: run for run in found}, "pages of any size list the same", self.session_id)
            runs = {run.run_id: run for run in found}
        copied = self.session.forked_at_seq
        told = {run_id for run_id, run in self.judge.runs.items() if run.queued > copied}
        self.report.check(told <= set(runs) or self.judge.lossy, promise, lambda: f"not listed: {told - set(runs)}")
        for run_id, run in runs.items():
            seen = self.judge.runs.get(run_id)
            if seen is None or run_id not in told:
                self.report.check(bool(copied) or self.judge.lossy, promise, f"{run_id} is not in the log")
                continue
            pairs = [(run.status, seen.status), (run.finished_seq, seen.finished), (run.queued_seq, seen.queued), (run.attempt, seen.attempt)]
            same = all(listed == logged for listed, logged in pairs) and run.epoch >= seen.epoch
            self.report.check(same, promise, f"{run_id}: listed and logged {pairs}")
            answers = set(run.message_ids) == self.judge.messages_of(run_id) or self.judge.lossy
            self.report.check(answers, promise, f"{run_id}: answers {list(run.message_ids)}, logged {self.judge.messages_of(run_id)}")

    def check_lists(self, places, pages):
        """ListEvents with pages of many sizes and from cursors, GetSnapshot with pages of many sizes."""
        few = len(self.events) < 400
        for page_size in (*pages, 5000) if few else (97, 5000):
            events, _ = list_events(self.mesh, self.report, self.session_id, 0, page_size)
            self._same(events, f"ListEvents({page_size})")
        for page_bytes in (0, 1 if 3 in pages and few else 20000, 5000):
            events = snapshot(self.mesh, self.report, self.session_id, page_bytes)
            self._same(events, f"GetSnapshot({page_bytes})")
        for cursor in self.random.sample(places, min(8, len(places))):
            events, _ = list_events(self.mesh, self.report, self.session_id, cursor, 19)
            check_same(self.report, self.log, events, cursor, f"ListEvents(19) from {cursor}")

    def _same(self, events, where):
        check_same(self.report, self.log, events, 0, where)
        self.report.check(fold_of(self.report, events, where) == self.view, "every way of reading folds to the same conversation", where)

    def check_streams(self, places):
        """Each stream from the beginning and, in turn, from the cursors; one that has all gets a sign of life at once."""
        for way in STREAMS:
            self._same(read_to(self.mesh, self.report, way, self.session_id, self.head), way)
        for way, cursor in zip(list(STREAMS) * len(places), places):
            events = read_to(self.mesh, self.report, way, self.session_id, self.head, cursor, self.log_id)
            check_same(self.report, self.log, events, cursor, f"{way} from {cursor}")
        for way in ("Subscribe", "SubscribeSessions", "Watch"):
            events, _, head = next(batches(self.mesh, self.report, way, self.session_id, self.head))
            self.report.check(not events and head == self.head, "nothing behind the cursor is said at once", f"{way}: {len(events)}, {head}")

    def check_filters(self):
        """Filters hide what they name, in lists and streams, from anywhere."""
        for way, (include, exclude) in zip(list(STREAMS) + ["Subscribe"], FILTERS):
            cursor = self.random.choice([0, self.random.randint(0, max(0, self.head - 1))])
            shown = shows(include, exclude)
            events = read_to(self.mesh, self.report, way, self.session_id, self.head, cursor, include=include, exclude=exclude)
            check_same(self.report, self.log, events, cursor, f"{way} from {cursor} with {include} without {exclude}", shown)
            events, _ = list_events(self.mesh, self.report, self.session_id, 0, 23, include, exclude)
            check_same(self.report, self.log, events, 0, f"ListEvents(23) with {include} without {exclude}", shown)

    def check_until(self):
        """A stream that is opened until the end of a run ends there, whatever a filter hides, and at once behind it."""
        ends = [(run_id, run.finished) for run_id, run in self.judge.runs.items() if run.finished]
        for way, (run_id, seq) in zip(("Subscribe", "SubscribeSessions") * 3, ends[-3:] * 2):
            if seq <= self.session.forked_at_seq:
                continue
            try:
                self._until(way, run_id, seq)
            except AtollError as error:
                self.report.check(False, "a stream until a run's end ends with it", f"{self.session_id}, {way}: {error}")

    def _until(self, way, run_id, seq):
        for exclude in ((), ("run_finished",)):
            stream = batches(self.mesh, self.report, way, self.session_id, until=run_id, exclude=exclude)
            found = [event for events, _, _ in stream for event in events]
            reached = found[-1].seq if found else None
            self.report.check(reached == seq, "a stream until a run's end ends with it", f"{way}: {reached} for {seq}")
            check_stream(self.report, found, 0, f"{way} until {run_id}")
        stream = batches(self.mesh, self.report, way, self.session_id, seq, until=run_id)
        found = [event for events, _, _ in stream for event in events]
        self.report.check(not found, "a stream until a run's end has nothing behind it", f"{way}: {len(found)} events")

    def check_refusals(self):
        """Cursors, page tokens, filters and runs that can't be served."""
        mesh, session_id, trimmed = self.mesh, self.session_id, self.session.oldest_seq
        facts = {"log_id": self.log_id, "oldest_seq": trimmed, "head_seq": self.head}
        wrong = [
            ("CURSOR_AHEAD", facts, {"cursor": self.head + 1}),
            ("LOG_REPLACED", facts, {"log_id": "log_00000000000000000000000000"}),
            ("FIELD_INVALID", {}, {"exclude": ("omitted",)}),
            ("FIELD_INVALID", {}, {"include": ("no_such_body",)}),
        ]
        for way, stream in STREAMS.items():
            for reason, metadata, arguments in wrong:
                check_refused(self.report, self._error(stream(mesh, session_id, **arguments)), reason, f"{way} with {arguments}", **metadata)
        for way in ("Subscribe", "SubscribeSessions"):
            error = self._error(STREAMS[way](mesh, session_id, until=NO_RUN))
            check_refused(self.report, error, "RUN_NOT_FOUND", f"{way} until a run that is none", run_id=NO_RUN)
        for method, request in (
            (mesh.sessions.ListEvents, sessions.ListEventsRequest(session_id=session_id, page_token="bm90IGEgdG9rZW4")),
            (mesh.sessions.GetSnapshot, sessions.GetSnapshotRequest(session_id=session_id, page_token="bm90IGEgdG9rZW4")),
            (mesh.sessions.ListRuns, sessions.ListRunsRequest(session_id=session_id, page_token="bm90IGEgdG9rZW4")),
        ):
            check_refused(self.report, mesh.refused(method, request), "FIELD_INVALID", f"{type(request).__name__} with no token", field="page_token")

    @staticmethod
    def _error(stream):
        """The error that a stream ends with. One that is served gives something soon, and no error."""
        try:
            next(stream, None)
        except AtollError as error:
            return error
        finally:
            stream.close()
        return None

    def check_index(self):
        """The index feed tells of the session once, with its head; its first response says where the feed is."""
        stream = self.mesh.stream(self.mesh.gateway.SubscribeIndex, gateway.SubscribeIndexRequest())
        first, seen, before = True, [], 0
        for response in self.mesh.responses(stream):
            if first:
                self.report.check(not response.entries and bool(response.cursor.log_id), "the index feed begins with what it is")
            for entry in response.entries:
                self.report.check(entry.seq > before, "the seqs of the index feed rise", f"{entry.seq} after {before}")
                before = entry.seq
                if entry.session_id == self.session_id:
                    seen.append(entry)
            if before >= response.head_seq:
                break
            first = False
        stream.cancel()
        held = bool(seen) and seen[-1].head_seq == self.head and not seen[-1].deleted
        self.report.check(held, "the index feed has each session as it is now", f"{self.session_id}: {[entry.head_seq for entry in seen]} for {self.head}")
        self.report.check(isinstance(seen[-1].session, session_pb2.Session) if seen else True, "the index feed has each session as it is now")
