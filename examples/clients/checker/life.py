"""What a log promises of the session's own state (log_events.proto, session.proto)."""

from atoll.session.v1 import session_pb2
from sequence import body

CREATED, ACTIVE, IDLE, CLOSED = 1, 2, 3, 4
FIELDS = {field.name for field in session_pb2.Session.DESCRIPTOR.fields}
# The fields of SessionUpdated that stand for a field of Session.
TOLD = ("title", "state", "context_floor_seq")


class Life:
    """Follows the state of a session over its log."""

    def __init__(self, report, where, fork_at=0):
        self.report, self.where, self.fork_at = report, where, fork_at
        self.state, self.title, self.floor, self.messages = CREATED, "", 0, 0
        self.before = None
        self.at = ""

    def _check(self, held, promise, detail=""):
        return self.report.check(held, promise, f"{self.at} {detail}")

    def take(self, event, lossy):
        """Takes the next event."""
        self.at = f"{self.where}: {body(event)} {event.first_seq}..{event.seq}"
        copied = event.seq <= self.fork_at
        if body(event) == "message_received":
            self.messages += 1
            self._check(self.state != CLOSED, "nothing is written to a closed session")
            if self.state == CREATED:
                self.state = ACTIVE
            elif self.state == IDLE:
                self.state = "waking"
        elif body(event) == "session_updated":
            self._updated(event, event.session_updated, lossy, copied)
        elif self.state == "waking":
            self._check(lossy, "a message that wakes an idle session says so")
            self.state = ACTIVE
        elif body(event) == "run_queued":
            self._check(self.state != CLOSED, "nothing is queued in a closed session")
        self.before = event

    def _updated(self, event, changed, lossy, copied):
        names = set(changed.fields)
        self._check(bool(names) and names <= FIELDS, "SessionUpdated names fields of Session", sorted(names))
        for name in TOLD:
            told = bool(getattr(changed, name))
            self._check(not told or name in names, "SessionUpdated names what it tells", name)
        if "title" in names:
            self.title = changed.title
        if "context_floor_seq" in names:
            floor = changed.context_floor_seq
            self._check(self.floor <= floor < event.seq or lossy, "a reset hides what was before it", floor)
            self.floor = floor
        if "state" in names:
            self._state(event, changed.state, lossy)

    def _state(self, event, state, lossy):
        if self.fork_at and event.first_seq > self.fork_at and state in (ACTIVE, CREATED) and self.state in (IDLE, CLOSED):
            self.state = state
            return
        allowed = {
            ACTIVE: self.state == "waking",
            IDLE: self.state == ACTIVE,
            CLOSED: self.state != CLOSED,
        }
        self._check(allowed.get(state, False) or lossy, "states change as they may", f"{self.state} to {state}")
        self.state = state

    def check_session(self, session, whole):
        """Compares with what GetSession says of the quiet session."""
        self.at = f"{self.where}: GetSession"
        state = ACTIVE if self.state == "waking" else self.state
        self._check(session.state == state, "the session has the state that its log tells", f"{session.state} for {state}")
        self._check(session.context_floor_seq == self.floor, "the session has the reset that its log tells", session.context_floor_seq)
        if whole:
            self._check(session.message_count == self.messages, "the session counts its messages", f"{session.message_count} for {self.messages}")
