"""Checks the checks: a log that is right has no violation, and each way to break it is caught by the promise that it breaks."""

import unittest
import zlib

from atoll.event.v1 import event_pb2
from client import AtollError, error_reason_pb2
from errors import check_error
from fold import Fold
from promises import Judge
from report import Report
from sequence import canonical, check_overlap, check_same, check_stream, shows

RUN, CALL, TEXT = "run_1", "run_1.1.1.1", "Löwe 漢字 🐚"
SUCCEEDED, CANCELLED_CALL, UNKNOWN = 1, 5, 7


def place(name, run="", step=0, taken=0, /, **fields):
    """An event without its numbers."""
    event = event_pb2.Event(run_id=run, step=step, attempt=taken)
    event.time.seconds = 1
    part = getattr(event, name)
    part.SetInParent()
    for field, value in fields.items():
        if isinstance(value, (list, tuple)):
            getattr(part, field).extend(value)
        else:
            setattr(part, field, value)
    return event


def received(message_id, run, mode=1):
    """A MessageReceived."""
    event = place("message_received", message_id=message_id, run_id=run, queue_mode=mode)
    event.message_received.content.add().text.text = message_id
    return event


def numbered(events, first=1):
    """The events with dense numbers."""
    for number, event in enumerate(events, first):
        event.first_seq = event.seq = number
    return events


def finished(run, status=1, steps=0, attempt=1):
    """A RunFinished."""
    event = place("run_finished", run, 0, attempt, status=status, steps=steps)
    if steps:
        event.run_finished.duration.seconds = 1
    return event


def model(name, run=RUN, step=1, /, **fields):
    """An event of a step."""
    return place(name, run, step, 1, **fields)


def good():
    """A log of two runs: a void step that is made again, a steer, a collected message, a call with its outcome."""
    cut = len("Löwe ".encode())
    crc = zlib.crc32(TEXT.encode())
    return numbered([
        received("m1", RUN),  # 0
        place("session_updated", fields=["title"], title="m1"),
        place("run_queued", RUN, message_ids=["m1"], agent_id="main"),
        place("run_started", RUN, 0, 1, worker_id="w", epoch=1, agent_id="main"),
        model("step_started", model="offline/scripted"),
        model("text_delta", block_id="1.1.0", text="void"),  # 5
        model("tool_call_proposed", call_id=CALL, tool="files.read", arguments_json="{}"),
        place("step_discarded", RUN, 1, 1, step=1, attempt=1, reason=2),
        model("step_started", model="offline/scripted"),
        model("text_delta", block_id="1.1.0", text="Löwe "),
        model("text_delta", block_id="1.1.0", offset=cut, text="漢字 🐚"),  # 10
        model("block_completed", block_id="1.1.0", kind=1, length=len(TEXT.encode()), crc32=crc),
        model("tool_call_proposed", call_id=CALL, tool="files.read", arguments_json='{"a":1.50,"b":[true,null]}'),
        model("tool_call_started", call_id=CALL, tool="files.read"),
        received("m2", RUN, 2),
        received("m3", "run_2", 3),  # 15
        place("run_queued", "run_2", message_ids=["m3"], agent_id="main", position=1),
        received("m4", "run_2", 3),
        model("tool_call_finished", call_id=CALL, outcome=SUCCEEDED),
        model("step_started", RUN, 2, model="offline/scripted", message_ids=["m2"]),
        finished(RUN, steps=2),  # 20
        place("run_started", "run_2", 0, 1, worker_id="w", epoch=1, agent_id="main"),
        model("step_started", "run_2", model="offline/scripted"),
        finished("run_2", steps=1),
    ])


def judged(events, fork_at=0):
    """The promises that a log breaks, by all checks of a whole log."""
    report = Report()
    check_stream(report, events, 0, "test")
    fold = Fold(report, "test")
    for event in events:
        fold.apply(event)
    Judge(report, "test", fork_at).judge(events).check_end()
    return report


def without(*places):
    """Leaves events out; the numbers stay dense."""
    return lambda events: numbered([event for index, event in enumerate(events) if index not in places])


def inserted(index, *more):
    """Puts events in; the numbers stay dense."""
    return lambda events: numbered(events[:index] + [type(event).FromString(event.SerializeToString()) for event in more] + events[index:])


def changed(index, part, **fields):
    """Changes fields of an event, or of its body when `part` names that."""

    def change(events):
        for field, value in fields.items():
            setattr(getattr(events[index], part) if part else events[index], field, value)
        return events

    return change


END = "each proposed call has an outcome before its run ends"
BROKEN = [
    ("a gap", lambda events: events[:7] + events[8:], "the sequence is dense"),
    ("a repeat", lambda events: events[:7] + events[6:], "the sequence is dense"),
    ("events in another order", lambda events: events[:7] + [events[8], events[7]] + events[9:], "the sequence is dense"),
    ("a log that begins late", lambda events: events[1:], "the sequence is dense"),
    ("a range that ends before it begins", changed(5, "", first_seq=9), "an event covers a range of numbers from 1 on"),
    ("an event of several numbers that is no delta", changed(3, "", first_seq=3), "only deltas and gaps cover several numbers"),
    ("no time", lambda events: events[3].ClearField("time") or events, "each event says when it was committed"),
    ("a wrong checksum", changed(11, "block_completed", crc32=1), "a block has the checksum that is told"),
    ("a wrong length", changed(11, "block_completed", length=3), "a block has the length that is told"),
    ("a changed text", changed(9, "text_delta", text="Lowen "), "a block has the checksum that is told"),
    ("a lost delta", without(9), "no delta begins behind what is known of its block"),
    ("a delta twice", inserted(10, good()[9]), "only the first event behind a cursor begins inside of what is known"),
    ("an offset inside a code point", changed(10, "text_delta", offset=2), "no offset lies inside a code point"),
    ("a void block that stays", without(7), "only the first event behind a cursor begins inside of what is known"),
    ("a delta of a whole block", inserted(12, model("text_delta", block_id="1.1.0", offset=len(TEXT.encode()), text="!")),
     "a whole block has no more deltas"),
    ("a block completed twice", inserted(12, good()[11]), "a block is completed once"),
    ("a block of two kinds", changed(11, "block_completed", kind=2), "a block is of one kind"),
    ("a block with a wrong name", changed(5, "text_delta", block_id="2.1.0"), "a block is named by attempt, step and index"),
    ("an index that falls", inserted(10, model("text_delta", block_id="1.1.7", text="a"), model("text_delta", block_id="1.1.6", text="a")),
     "the index of blocks rises in a step"),
    ("two ends of a run", inserted(21, finished(RUN, steps=2)), "nothing of a run follows its end"),
    ("an event behind the end", inserted(21, model("phase_changed", RUN, 2, phase=1)), "nothing of a run follows its end"),
    ("no end", without(23), "each run ends"),
    ("an end without a status", changed(20, "run_finished", status=0), "an end says how"),
    ("a failure without a reason why", changed(20, "run_finished", status=2), "a failed run, and no other, says why"),
    ("steps that were not counted", changed(20, "run_finished", steps=3), "an end counts the steps"),
    ("an outcome missing", without(18), END),
    ("two outcomes", inserted(19, good()[18]), "a call has one outcome, and nothing follows it"),
    ("progress behind the outcome", inserted(19, model("tool_progress", call_id=CALL)), "a call has one outcome, and nothing follows it"),
    ("an outcome of no call", inserted(19, model("tool_call_finished", call_id="x", outcome=SUCCEEDED)), "a call is proposed before anything of it"),
    ("an outcome that is none", changed(18, "tool_call_finished", outcome=0), "an outcome says how the call ended"),
    ("an unknown outcome without a reason", changed(18, "tool_call_finished", outcome=UNKNOWN), "a call without an answer says why"),
    ("a call with the id of one that is not void", inserted(13, good()[12]), "the id of a call is unique among what is not void"),
    ("arguments out of order", changed(12, "tool_call_proposed", arguments_json='{"b":1,"a":2}'), "JSON is canonical"),
    ("arguments with spaces", changed(12, "tool_call_proposed", arguments_json='{"a": 1}'), "JSON is canonical"),
    ("a message twice", inserted(1, received("m1", "run_9")), "a message is received once"),
    ("a message without a run", without(2), "each run was queued"),
    ("a steer that nobody reads", lambda events: events[19].step_started.ClearField("message_ids") or events, "each message is answered by one run"),
    ("a steer that is read twice", lambda events: events[22].step_started.message_ids.append("m2") or events, "a steer is read once"),
    ("a message of two runs", lambda events: events[16].run_queued.message_ids.append("m1") or events, "only a steer moves, unread, from a run that ended"),
    ("a message that joins a run at work", changed(17, "message_received", run_id=RUN), "a message joins a run that waits"),
    ("a steer of a run that is not known", changed(14, "message_received", run_id="run_7"), "a steer names a run that the log has told of"),
    ("a run of a message that the log has not", lambda events: events[16].run_queued.message_ids.append("m9") or events,
     "a run is queued for messages of the log"),
    ("two runs at work", lambda events: numbered(events[:20] + [events[21], events[20]] + events[22:]), "a session has one run at work"),
    ("a run that is queued twice", inserted(17, good()[16]), "a run is queued once"),
    ("a wrong position", changed(16, "run_queued", position=4), "a queued run has its position"),
    ("a void step that is not made again", lambda events: numbered(events[:8] + [finished(RUN, 3)]), "a void step is made again"),
    ("a queue out of order", lambda events: numbered(events[:21] + [received("m8", "run_8"), place("run_queued", "run_8", message_ids=["m8"], position=1),
     place("run_started", "run_8", 0, 1, epoch=1)]), "the queue is in order"),
    ("a step without a beginning", without(8), "steps count from 1, a void one is made again"),
    ("a step that jumps", changed(19, "", step=3), "steps count from 1, a void one is made again"),
    ("another attempt", changed(9, "", attempt=2), "events have the attempt of their run"),
    ("an old epoch", inserted(8, place("run_resumed", RUN, 0, 2, worker_id="v", epoch=1, attempt=2)), "a later taking has a higher epoch"),
    ("a step outside of a run", changed(0, "", step=1), "outside a run there is no step and no attempt"),
    ("a state that may not follow", inserted(2, place("session_updated", fields=["state"], state=2)), "states change as they may"),
    ("an idle session that wakes in silence", inserted(14, place("session_updated", fields=["state"], state=3)),
     "a message that wakes an idle session says so"),
    ("a message to a closed session", inserted(14, place("session_updated", fields=["state"], state=4)), "nothing is written to a closed session"),
    ("a title that is not named", changed(1, "session_updated", context_floor_seq=1), "SessionUpdated names what it tells"),
    ("a field that no session has", lambda events: events[1].session_updated.fields.append("colour") or events, "SessionUpdated names fields of Session"),
    ("a reset of what is to come", inserted(2, place("session_updated", fields=["context_floor_seq"], context_floor_seq=9)),
     "a reset hides what was before it"),
    ("an Omitted that counts wrong", inserted(2, place("omitted", count=2)), "Omitted says how many it hides"),
    ("a trimmed range in the middle", inserted(2, place("history_trimmed", count=1)), "HistoryTrimmed stands at the beginning for all that is gone"),
]


class Checks(unittest.TestCase):
    """The checks against logs that are made for them."""

    def test_good_log(self):
        """Nothing is said of a log that is right."""
        report = judged(good())
        self.assertEqual(report.violations, [])
        self.assertGreater(len(report.checks), 40)

    def test_broken_logs(self):
        """Each break is caught by its promise."""
        for name, breaks, promise in BROKEN:
            with self.subTest(name):
                self.assertIn(promise, judged(breaks(good())).broken())

    def test_fork(self):
        """A fork ends what had not ended, right behind the copy, and nothing else stands there."""
        ends = [model("tool_call_finished", call_id=CALL, outcome=CANCELLED_CALL, message="the run ended"), finished(RUN, 3), finished("run_2", 3, attempt=0)]
        self.assertEqual(judged(numbered(good()[:18] + ends), 18).violations, [])
        promise = "a fork cancels what had not ended"
        self.assertIn(promise, judged(numbered(good()[:18] + ends[:2]), 18).broken())
        self.assertIn(promise, judged(numbered(good()[:18] + [received("m9", "run_9")] + ends), 18).broken())
        self.assertIn(promise, judged(numbered(good()[:18] + ends[:2] + [finished("run_2", 1)]), 18).broken())
        self.assertIn(END, judged(numbered(good()[:18] + ends[1:]), 18).broken())

    def test_merged(self):
        """A merged log is the same log, and one with another text, another hidden range or without an event is not."""
        log, merged = good(), good()
        merged[9].text_delta.text, merged[9].seq = TEXT, merged[10].seq
        del merged[10]
        self.assertEqual(canonical(log), canonical(merged))
        self.assertEqual(judged(merged).violations, [])
        same, promise = canonical(log), "every way of reading gives the same log"
        for name, events in (("text", changed(9, "text_delta", text="Lowen")(good())), ("event", good()[:-1]), ("step", changed(13, "", step=2)(good()))):
            with self.subTest(name):
                report = Report()
                check_same(report, same, events, 0, "test")
                self.assertEqual(report.broken(), {promise})
        hidden = [event for event in good() if event.WhichOneof("body") != "text_delta"]
        report = Report()
        check_same(report, same, hidden, 0, "test", shows((), ("text_delta",)))
        self.assertEqual(report.broken(), {"Omitted ranges are what the filter hides"})

    def test_resume(self):
        """Behind a cursor only the first event may overlap, with parts of itself alone."""
        log = good()
        whole = changed(9, "text_delta", text=TEXT)(good())[9]
        whole.seq = log[10].seq
        for known, first, held in ((log[:10], whole, True), (log[:11], whole, True), (log[:12], whole, False)):
            report = Report()
            check_overlap(report, known, first, "test")
            self.assertEqual(not report.violations, held)
        report = Report()
        check_stream(report, log[9:12], 10, "test")
        self.assertEqual(report.broken(), {"the sequence is dense"})
        report = Report()
        early = changed(8, "", seq=10)(good())[8]
        check_stream(report, [early, log[10]], 9, "test")
        self.assertIn("only a delta or an Omitted range begins at or before the cursor", report.broken())
        fold = Fold(Report(), "test")
        for event in log[:10]:
            fold.apply(event)
        fold.resume()
        for event in [whole] + log[11:]:
            fold.apply(event)
        reference = Fold(Report(), "test")
        for event in log:
            reference.apply(event)
        self.assertEqual(fold.report.violations, [])
        self.assertEqual(fold.view(), reference.view())

    def test_holes(self):
        """Text behind an Omitted range is no fault; without one it is."""
        log = good()
        hidden = place("omitted", count=1)
        hidden.first_seq = hidden.seq = log[9].seq
        self.assertEqual(judged(log[:9] + [hidden] + log[10:]).violations, [])

    def test_errors(self):
        """An error has the domain, the code, the metadata and the field paths that are documented."""
        right = AtollError(9, "busy", "SESSION_BUSY", "atoll", {"run_id": RUN})
        for error, promise in (
            (right, None),
            (AtollError(5, "busy", "SESSION_BUSY", "atoll", {"run_id": RUN}), "each reason has its code"),
            (AtollError(9, "busy", "SESSION_BUSY", "", {"run_id": RUN}), "errors are of the domain atoll"),
            (AtollError(9, "busy", "SESSION_BUSY", "atoll", {}), "metadata is as documented"),
            (AtollError(9, "busy", "SESSION_BUSY", "atoll", {"run_id": RUN, "x": ""}), "metadata is as documented"),
            (AtollError(9, "busy", "TOO_BUSY", "atoll", {}), "a failure has a documented reason"),
            (AtollError(3, "bad", "FIELD_INVALID", "atoll", {"field": "a"}), "a broken field is listed"),
        ):
            with self.subTest(str(error)):
                report = Report()
                check_error(report, error)
                self.assertTrue(promise in report.broken() if promise else not report.violations)
        failed = changed(20, "run_finished", status=2)(good())
        failed[20].run_finished.failure.reason = error_reason_pb2.ERROR_REASON_MODEL_UNAVAILABLE
        self.assertIn("metadata is as documented", judged(failed).broken())


if __name__ == "__main__":
    unittest.main()
