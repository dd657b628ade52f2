"""Checks forks: the same events under the same numbers, then the endings of what had not ended (ForkSession), and closing."""

import random

from atoll.session.v1 import session_service_pb2 as sessions
from client import AtollError
from errors import check_refused
from readers import list_events
from sequence import body, canonical
from talk import message, new_id
from ways import Reading, fold_of


def check_forks(mesh, report, reading, seed):
    """Forks a quiet session at places of every kind; writes to nothing but its forks."""
    chooser = random.Random(seed)
    places = {reading.events[0].seq}
    for name in ("text_delta", "tool_call_proposed", "run_queued"):
        seqs = [event.seq for event in reading.events if body(event) == name]
        places.update(chooser.sample(seqs, min(1, len(seqs))))
    steers = [event.seq for event in reading.events if body(event) == "message_received" and event.message_received.queue_mode == 2]
    places.update(steers[:1])
    for place in sorted(places):
        _check_fork(mesh, report, reading, place)
    _check_inside(mesh, report, reading)
    _check_closing(mesh, report, reading)


def _fork(mesh, reading, place, request_id=""):
    """Forks at a place, or at the end of the event that it was merged into since it was read; gives the fork and where that is."""
    request = sessions.ForkSessionRequest(request_id=request_id or new_id(), session_id=reading.session_id, at_seq=place)
    while True:
        try:
            return mesh.call(mesh.sessions.ForkSession, request).session, request.at_seq or reading.head
        except AtollError as error:
            if int(error.metadata.get("after_seq", 0)) <= request.at_seq:
                raise
            request.at_seq = int(error.metadata["after_seq"])


def _check_fork(mesh, report, reading, place):
    """One fork: its log begins as a copy, and all that is promised of logs holds for it."""
    request_id = new_id()
    session, end = _fork(mesh, reading, place, request_id)
    again, _ = _fork(mesh, reading, end if place else 0, request_id)
    report.check(again.session_id == session.session_id, "a repeated request has the first answer", "ForkSession")
    says = (session.forked_from_session_id, session.forked_at_seq) == (reading.session_id, end)
    report.check(says, "a fork says what it is a copy of", f"{session.forked_from_session_id} at {session.forked_at_seq} for {end}")
    fork = Reading(mesh, report, session.session_id)
    report.check(fork.log_id != reading.log_id, "a fork has a log of its own", fork.log_id)
    copied = [event for event in fork.events if event.seq <= end]
    original = [event for event in reading.events if event.seq <= end]
    same = canonical(copied) == canonical(original)
    report.check(same, "a fork is a copy", lambda: f"at {end}: {_first_difference(canonical(copied), canonical(original))}")
    folds = fold_of(report, copied, "a fork"), fold_of(report, original, "its original")
    report.check(folds[0] == folds[1], "a fork is a copy", f"at {end}: folds to something else")
    behind = {body(event) for event in fork.events if event.seq > end}
    report.check(behind <= {"tool_call_finished", "run_finished", "session_updated"}, "a fork ends what had not ended, and no more", behind)
    fork.check_all(some=6, pages=(29,))


def _first_difference(copied, original):
    pairs = [(have, want) for have, want in zip(copied, original) if have != want]
    return f"{pairs[0][0]} for {pairs[0][1]}" if pairs else f"{len(copied)} items for {len(original)}"


def _check_inside(mesh, report, reading):
    """Inside of an event it can't be forked; past the head neither."""
    events, _ = list_events(mesh, report, reading.session_id)
    wide = next((event for event in events if event.seq > event.first_seq), None)
    if wide is None:
        report.note("no event covers several numbers: a fork inside of one was not tried")
    else:
        request = sessions.ForkSessionRequest(request_id=new_id(), session_id=reading.session_id, at_seq=wide.first_seq)
        error = mesh.refused(mesh.sessions.ForkSession, request)
        # It may have been merged with more meanwhile.
        since = next(event for event in list_events(mesh, report, reading.session_id)[0] if event.first_seq <= wide.first_seq <= event.seq)
        if error is not None and error.metadata.get("after_seq") == str(since.seq):
            wide = since
        facts = {"field": "at_seq", "before_seq": wide.first_seq - 1, "after_seq": wide.seq}
        check_refused(report, error, "FIELD_INVALID", f"a fork inside of {wide.first_seq}..{wide.seq}", **facts)
    request = sessions.ForkSessionRequest(request_id=new_id(), session_id=reading.session_id, at_seq=reading.head + 1)
    check_refused(report, mesh.refused(mesh.sessions.ForkSession, request), "CURSOR_AHEAD", "a fork past the head", head_seq=reading.head)


def _check_changes(mesh, report, session_id):
    """A change is in the log as SessionUpdated, and in the session; a reset hides all that was there."""
    update = sessions.UpdateSessionRequest(request_id=new_id(), session_id=session_id)
    update.session.title = "Another title"
    update.session.labels["kind"] = "checked"
    update.update_mask.paths.extend(["title", "labels"])
    session = mesh.call(mesh.sessions.UpdateSession, update).session
    report.check(session.title == "Another title", "a session is changed as it was asked", session.title)
    reset = sessions.ResetSessionRequest(request_id=new_id(), session_id=session_id, if_head_seq=session.head_seq)
    after = mesh.call(mesh.sessions.ResetSession, reset).session
    report.check(after.context_floor_seq >= session.head_seq, "a reset hides what was before it", f"{after.context_floor_seq} of {session.head_seq}")
    events, _ = list_events(mesh, report, session_id, session.head_seq - 1)
    told = [name for event in events if body(event) == "session_updated" for name in event.session_updated.fields]
    report.check({"title", "labels", "context_floor_seq"} <= set(told), "a change is in the log as SessionUpdated", told)


def _check_closing(mesh, report, reading):
    """A fork is written to as any session; closed it is read and forked, and not written; a fork of it is open again."""
    session, _ = _fork(mesh, reading, 0)
    submit = sessions.SubmitMessageRequest(request_id=new_id(), session_id=session.session_id, message=message("Go on here."))
    answer = mesh.call(mesh.sessions.SubmitMessage, submit)
    wait = sessions.WaitRunRequest(run_id=answer.run_id, timeout_ms=60000)
    report.check(mesh.call(mesh.sessions.WaitRun, wait).run.state == 4, "a run ends, and WaitRun says so", "in a fork")
    _check_changes(mesh, report, session.session_id)
    close = sessions.CloseSessionRequest(request_id=new_id(), session_id=session.session_id)
    report.check(mesh.call(mesh.sessions.CloseSession, close).session.state == 4, "a session closes")
    submit.request_id = new_id()
    error = mesh.refused(mesh.sessions.SubmitMessage, submit)
    check_refused(report, error, "SESSION_CLOSED", "a message to a closed session", session_id=session.session_id)
    closed = Reading(mesh, report, session.session_id)
    closed.check_all(some=6, pages=(29,))
    _check_fork(mesh, report, closed, 0)
