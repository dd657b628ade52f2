"""What a log promises of the tool calls in it (tool_events.proto)."""

import json

from client import error_reason_pb2
from sequence import body

SUCCEEDED, FAILED, CANCELLED = 1, 2, 5
EVENTS = ("tool_call_proposed", "tool_call_started", "tool_progress", "tool_call_finished")


class _Number(str):
    """The digits of a number, which stay as they are."""


def canonical_json(text):
    """The object that a text has as RFC 8785 writes it, the digits of numbers as they are; None when it is no object."""
    try:
        value = json.loads(text, parse_int=_Number, parse_float=_Number)
    except ValueError:
        return None
    return _written(value) if isinstance(value, dict) else None


def _written(value):
    if isinstance(value, dict):
        pairs = sorted(value.items(), key=lambda pair: pair[0].encode("utf-16-be", "surrogatepass"))
        return "{" + ",".join(f"{_written(name)}:{_written(part)}" for name, part in pairs) + "}"
    if isinstance(value, list):
        return "[" + ",".join(_written(part) for part in value) + "]"
    return value if isinstance(value, _Number) else json.dumps(value, ensure_ascii=False)


class Calls:
    """The calls of a log, each with its account."""

    def __init__(self, report, where):
        self.report, self.where = report, where
        self.calls = {}
        self.at = ""

    def _check(self, held, promise, detail=""):
        return self.report.check(held, promise, f"{self.at} {detail}")

    def take(self, event, lossy):
        """Takes the next event."""
        name = body(event)
        self.at = f"{self.where}: {name} {event.first_seq}..{event.seq}"
        if name == "step_discarded":
            void = event.step_discarded
            self.calls = {key: call for key, call in self.calls.items() if not _is_void(key, call, event.run_id, void)}
        elif name == "run_finished":
            for (run_id, call_id), call in self.calls.items():
                if run_id == event.run_id:
                    self._check(call["outcome"] > 0, "each proposed call has an outcome before its run ends", call_id)
        elif name in EVENTS:
            self._take_call(event, getattr(event, name), name, lossy)

    def _take_call(self, event, part, name, lossy):
        key = (event.run_id, part.call_id)
        call = self.calls.get(key)
        if name == "tool_call_proposed":
            self._check(call is None, "the id of a call is unique among what is not void", part.call_id)
            self._check(bool(part.tool), "a call names its tool", part.call_id)
            self._canonical(part.arguments_json)
        else:
            self._check(call is not None or lossy, "a call is proposed before anything of it", part.call_id)
        if call is None or name == "tool_call_proposed":
            call = self.calls[key] = {"tool": "", "started": 0, "outcome": 0, "step": event.step, "attempt": event.attempt}
        self._check(call["outcome"] == 0, "a call has one outcome, and nothing follows it", part.call_id)
        if name in ("tool_call_proposed", "tool_call_started"):
            self._check(call["tool"] in ("", part.tool), "a call stays with its tool", part.tool)
            call["tool"] = part.tool
        if name == "tool_call_started":
            call["started"] += 1
        if name == "tool_call_finished":
            self._outcome(part)
            call["outcome"] = part.outcome

    def _outcome(self, part):
        """An outcome has an answer or says why it has none."""
        known = 1 <= part.outcome <= 7
        self._check(known, "an outcome says how the call ended", part.outcome)
        if known:
            reason = error_reason_pb2.ErrorReason.Name(part.reason)
            answered = part.outcome in (SUCCEEDED, FAILED)
            unreadable = part.outcome == FAILED and reason == "ERROR_REASON_TOOL_ANSWER_UNREADABLE"
            says = part.reason == 0 or unreadable if answered or part.outcome == CANCELLED else part.reason > 0
            self._check(says, "a call without an answer says why", f"outcome {part.outcome}, {reason}")
            self._check(answered or bool(part.message), "a call without an answer says what happened", f"outcome {part.outcome}")
        if part.structured_json:
            self._canonical(part.structured_json)

    def _canonical(self, text):
        self._check(canonical_json(text) == text, "JSON is canonical", text[:200])

    def check_end(self, runs):
        """Once the session is quiet: each call belongs to a run that has ended, and has its outcome."""
        self.at = f"{self.where}: at the end"
        for (run_id, call_id), call in self.calls.items():
            self._check(call["outcome"] > 0, "each proposed call has an outcome before its run ends", call_id)
            self._check(run_id in runs, "a call belongs to a run", call_id)


def _is_void(key, call, run_id, void):
    """A call that had started or has an outcome stays: it may have had its effect."""
    same = key[0] == run_id and (call["step"], call["attempt"]) == (void.step, void.attempt)
    return same and not call["started"] and not call["outcome"]
