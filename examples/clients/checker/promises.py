"""What a whole log promises of its messages, runs and steps (run_events.proto, event.proto, block_events.proto)."""

from dataclasses import dataclass, field

from client import error_reason_pb2
from errors import check_metadata
from life import Life
from sequence import GAPS, body
from tools import Calls

COMPLETED, FAILED, CANCELLED = 1, 2, 3
FOLLOWUP, STEER, COLLECT = 1, 2, 3
# More urgent first; unspecified is normal.
RANK = {0: 2, 1: 3, 2: 2, 3: 1, 4: 0}


@dataclass
class Run:
    """What a log has told of a run."""

    queued: int = 0
    started: int = 0
    finished: int = 0
    status: int = 0
    attempt: int = 0
    epoch: int = 0
    step: int = 0
    steps: set = field(default_factory=set)
    discarded: object = None
    messages: list = field(default_factory=list)
    rank: int = 2
    parked: bool = False


class Judge:
    """Reads one log in order. `fork_at` is the last copied seq of a fork's log, 0 otherwise."""

    def __init__(self, report, where, fork_at=0):
        self.report, self.where, self.fork_at = report, where, fork_at
        self.runs, self.messages, self.reads, self.indexes = {}, {}, {}, {}
        self.lossy = False
        self.calls = Calls(report, where)
        self.life = Life(report, where, fork_at)
        self.at = ""
        self.copied_end = None

    def judge(self, events):
        """Takes the whole log, and gives this judge back."""
        for event in events:
            self.at = f"{self.where}: {body(event)} {event.first_seq}..{event.seq}"
            self.lossy = self.lossy or body(event) in GAPS
            if self.fork_at and event.first_seq > self.fork_at:
                self._behind_copy(event)
            self._belongs(event)
            handler = getattr(self, f"_{body(event)}", None)
            if handler:
                handler(event, getattr(event, body(event)))
            self.calls.take(event, self.lossy)
            self.life.take(event, self.lossy)
        if self.fork_at and self.copied_end is None:
            self.copied_end = self._open_runs()
        self._ends_of_fork()
        return self

    def _check(self, held, promise, detail=""):
        return self.report.check(held, promise, lambda: f"{self.at} {detail}")

    def _run(self, run_id):
        return self.runs.setdefault(run_id, Run())

    def _open_runs(self):
        return {run_id for run_id, run in self.runs.items() if not run.finished}

    def _behind_copy(self, event):
        """The endings stand right behind the copied part, of the runs that had not ended there and of no other; calls that had no
        outcome have theirs in front of them."""
        if self.copied_end is None:
            self.copied_end = self._open_runs()
        if self.copied_end and event.run_id in self.copied_end:
            call = body(event) == "tool_call_finished"
            cancelled = call or (body(event) == "run_finished" and event.run_finished.status == CANCELLED)
            self._check(cancelled, "a fork cancels what had not ended", event.run_id)
            if not call:
                self.copied_end.discard(event.run_id)
        else:
            allowed = not self.copied_end or body(event) == "session_updated"
            self._check(allowed, "a fork cancels what had not ended", "in front of the endings")

    def _ends_of_fork(self):
        if self.copied_end is not None:
            self._check(not self.copied_end, "a fork cancels what had not ended", f"no end of {self.copied_end}")

    def _belongs(self, event):
        """What holds for each event of a run."""
        if not event.run_id:
            self._check(event.step == 0 and event.attempt == 0, "outside a run there is no step and no attempt")
            return
        run = self._run(event.run_id)
        self._check(not run.finished, "nothing of a run follows its end", event.run_id)
        if body(event) in ("run_queued", "run_finished"):
            return
        if not self.lossy:
            self._check(run.queued > 0, "a run is queued before it is at work", event.run_id)
            told = run.started > 0 or body(event) == "run_started"
            self._check(told, "a run is started before it is at work", event.run_id)
        expected = run.attempt + (1 if body(event) in ("run_started", "run_resumed") else 0)
        if not self.lossy or run.attempt:
            self._check(event.attempt == expected, "events have the attempt of their run", f"{event.attempt} for {expected}")

    def _message_received(self, event, message):
        self._check(message.message_id not in self.messages, "a message is received once", message.message_id)
        self._check(message.queue_mode in range(1, 6), "a message says how it entered", message.queue_mode)
        self._check(bool(message.run_id) and bool(message.content), "a message has content and a run", message.message_id)
        known = message.run_id in self.runs
        run = self._run(message.run_id)
        self._check(not run.finished, "a message is given to a run that has not ended", message.run_id)
        if message.queue_mode == STEER and not self.lossy:
            self._check(known, "a steer names a run that the log has told of", message.run_id)
        elif message.queue_mode == COLLECT:
            self._check(not run.started, "a message joins a run that waits", message.run_id)
            if known:
                run.messages.append(message.message_id)
                run.rank = min(run.rank, RANK.get(message.priority, 2))
        elif not self.lossy:
            self._check(not known, "a message has a run of its own", message.run_id)
        rank = RANK.get(message.priority, 2)
        self.messages[message.message_id] = {"runs": [message.run_id], "mode": message.queue_mode, "seq": event.seq, "rank": rank}

    def _run_queued(self, event, queued):
        run = self._run(event.run_id)
        run.rank = min([self.messages[message_id]["rank"] for message_id in queued.message_ids if message_id in self.messages] or [run.rank])
        self._check(run.queued == 0, "a run is queued once", event.run_id)
        self._check(bool(queued.message_ids), "a run has a message", event.run_id)
        if not self.lossy:
            before = [other for other in self.runs.values() if other.queued and not other.finished]
            waiting = sum(1 for other in before if other.started or other.rank <= run.rank)
            self._check(queued.position == waiting, "a queued run has its position", f"{queued.position} for {waiting}")
        run.queued, run.messages = event.seq, list(queued.message_ids)
        for message_id in queued.message_ids:
            message = self.messages.get(message_id)
            if message is None:
                self._check(self.lossy, "a run is queued for messages of the log", message_id)
                continue
            if message["runs"][-1] != event.run_id:
                self._moved(message_id, message, event.run_id)

    def _moved(self, message_id, message, run_id):
        """Only a steer that the ended run had not read moves."""
        before = self.runs[message["runs"][-1]]
        unread = message["mode"] == STEER and bool(before.finished) and message_id not in self.reads
        self._check(unread, "only a steer moves, unread, from a run that ended", message_id)
        message["runs"].append(run_id)

    def _run_started(self, event, started):
        run = self._run(event.run_id)
        self._check(run.started == 0, "a run starts once", event.run_id)
        self._taken(event, run, started.epoch)
        run.started = event.seq
        if not self.lossy:
            first = [
                other_id
                for other_id, other in self.runs.items()
                if other.queued and not other.started and not other.finished
                if (other.rank, other.queued) < (run.rank, run.queued)
            ]
            self._check(not first, "the queue is in order", f"{event.run_id} before {first}")

    def _run_resumed(self, event, resumed):
        run = self._run(event.run_id)
        self._check(resumed.attempt == event.attempt, "a taking counts itself", resumed.attempt)
        self._taken(event, run, resumed.epoch)

    def _taken(self, event, run, epoch):
        self._check(epoch > run.epoch, "a later taking has a higher epoch", f"{epoch} after {run.epoch}")
        work = [other_id for other_id, other in self.runs.items() if other is not run and other.started and not other.finished and not other.parked]
        self._check(not work, "a session has one run at work", work)
        run.attempt, run.epoch, run.parked = event.attempt, epoch, False

    def _run_parked(self, event, _):
        self._run(event.run_id).parked = True

    def _step_started(self, event, started):
        run = self._run(event.run_id)
        again = run.discarded is not None and run.discarded.step == event.step
        right = again if run.discarded is not None else event.step == run.step + 1
        self._check(right or self.lossy, "steps count from 1, a void one is made again", f"{event.step} after {run.step}")
        self._check(bool(started.model), "a step names its model")
        if again:
            lost = [message_id for message_id, place in self.reads.items() if place == "void" and message_id not in started.message_ids]
            self._check(not lost, "a step reads again what the void one had read", lost)
        for message_id in started.message_ids:
            message = self.messages.get(message_id)
            self._check(self.reads.get(message_id, "void") == "void", "a steer is read once", message_id)
            if message is not None:
                right = message["mode"] == STEER and message["runs"][-1] == event.run_id
                self._check(right, "a step reads the steers of its run", message_id)
            self.reads[message_id] = (event.run_id, event.step)
        run.step, run.discarded = event.step, None
        run.steps.add(event.step)

    def _step_discarded(self, event, void):
        run = self._run(event.run_id)
        self._check(void.step == run.step or self.lossy, "the step at work is discarded", f"{void.step} of {run.step}")
        self._check(1 <= void.attempt <= event.attempt, "a discard names an attempt that was", void.attempt)
        run.discarded = void
        for message_id, place in self.reads.items():
            if place == (event.run_id, void.step):
                self.reads[message_id] = "void"
        self.indexes = {key: top for key, top in self.indexes.items() if key != (event.run_id, void.attempt, void.step)}

    def _text_delta(self, event, delta):
        self._index(event, delta.block_id)

    def _thinking_delta(self, event, delta):
        self._index(event, delta.block_id)

    def _block_completed(self, event, done):
        self._index(event, done.block_id)

    def _index(self, event, block_id):
        """A block that is new in its step has a higher index than those before it."""
        key = (event.run_id, event.attempt, event.step)
        seen = self.indexes.setdefault(key, [])
        index = int(block_id.rsplit(".", 1)[-1])
        if index not in seen:
            self._check(not seen or index > seen[-1], "the index of blocks rises in a step", block_id)
            seen.append(index)
        run = self._run(event.run_id)
        self._check(event.step == run.step or self.lossy, "what a model says is of the step at work", f"{event.step} of {run.step}")

    def _run_finished(self, event, finished):
        run = self._run(event.run_id)
        self._check(finished.status in range(1, 5), "an end says how", finished.status)
        self._check(finished.HasField("failure") == (finished.status == FAILED), "a failed run, and no other, says why")
        if finished.HasField("failure"):
            check_metadata(self.report, error_reason_pb2.ErrorReason.Name(finished.failure.reason), finished.failure.metadata, self.at)
        self._check(not finished.cancelled_by or finished.status == CANCELLED, "only a cancelled run was cancelled by somebody")
        if finished.steps and not self.lossy:
            # The last one does not count when its model call was cut short.
            cut = 0 if finished.status == COMPLETED else 1
            held = len(run.steps) - cut <= finished.steps <= len(run.steps)
            self._check(held, "an end counts the steps", f"{finished.steps} for {len(run.steps)}")
        self._check(finished.HasField("duration") or not finished.steps, "an end that tells the steps tells the time")
        self._check(run.discarded is None, "a void step is made again", event.run_id)
        if finished.status == COMPLETED and not self.lossy:
            self._check(run.started > 0 and bool(run.steps), "a completed run was at work", event.run_id)
        run.finished, run.status = event.seq, finished.status

    def messages_of(self, run_id):
        """The messages that a run answers: those that it was queued for and that joined it, and the steers that stayed with it."""
        steers = {message_id for message_id, message in self.messages.items() if message["mode"] == STEER and message["runs"][-1] == run_id}
        return set(self.runs[run_id].messages) | steers

    def check_end(self, closed=False):
        """What holds once the session is quiet: every run has ended, every message is answered by one run. For forks the copied
        steers apart, of which the contract does not say whether they move."""
        self.at = f"{self.where}: at the end"
        for run_id, run in self.runs.items():
            self._check(run.finished > 0, "each run ends", run_id)
            self._check(run.queued > 0 or self.lossy or bool(self.fork_at), "each run was queued", run_id)
        for message_id, message in self.messages.items():
            last = self.runs[message["runs"][-1]]
            if message["mode"] == STEER and message_id not in last.messages:
                read = self.reads.get(message_id)
                answered = read is not None and read != "void" and read[0] == message["runs"][-1]
            else:
                answered = message_id in last.messages
            copied = bool(self.fork_at) and message["seq"] <= self.fork_at
            self._check(answered or closed or copied or self.lossy, "each message is answered by one run", message_id)
        self.calls.check_end(self.runs)
