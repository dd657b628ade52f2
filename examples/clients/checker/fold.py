"""The fold from events to a conversation, as the comments of the events describe it; it checks what only a fold can see."""

import zlib
from dataclasses import dataclass, field
from functools import partial

from sequence import GAPS, body

KINDS = {1: "text_delta", 2: "thinking_delta"}


@dataclass
class Block:
    """A block of model output."""

    run_id: str
    step: int
    attempt: int
    kind: str = ""
    data: bytearray = field(default_factory=bytearray)
    completed: object = None
    # The number of gaps that the reader had seen at its last delta, and whether text is missing.
    gaps: int = 0
    hole: bool = False


class Fold:
    """What a reader makes of a log. `begins_at` is the seq after which it began to read."""

    def __init__(self, report, where, begins_at=0):
        self.report, self.where = report, where
        self.gaps = 1 if begins_at else 0
        self.cursor = begins_at
        self.messages, self.runs, self.blocks, self.calls, self.read_by = {}, {}, {}, {}, {}
        self.session = {"title": "", "state": 1, "context_floor_seq": 0}
        self.resumed = True

    def resume(self):
        """The stream was opened again: the next event may begin at or before the cursor."""
        self.resumed = True

    def apply(self, event):
        """Takes the next event."""
        name = body(event)
        if name in GAPS:
            self.gaps += 1
        if event.run_id:
            self.runs.setdefault(event.run_id, {"status": 0, "messages": [], "phase": 0, "usage": []})
        handler = getattr(self, f"_{name}", None)
        if handler:
            handler(event, getattr(event, name))
        self.cursor = event.seq
        self.resumed = False

    def view(self):
        """The conversation as plain values, equal when two readers have read the same."""
        return {
            "session": self.session,
            "messages": self.messages,
            "runs": self.runs,
            "calls": self.calls,
            "read_by": self.read_by,
            "blocks": {key: (block.kind, bytes(block.data), block.completed is not None) for key, block in self.blocks.items()},
        }

    def _at(self, event, what):
        return f"{self.where}: {what} in {event.first_seq}..{event.seq}"

    def _block(self, event, block_id):
        key = (event.run_id, block_id)
        if key not in self.blocks:
            self.blocks[key] = Block(event.run_id, event.step, event.attempt)
            named = block_id.split(".")
            right = len(named) == 3 and named[:2] == [str(event.attempt), str(event.step)] and named[2].isdigit()
            self.report.check(right, "a block is named by attempt, step and index", self._at(event, block_id))
        return self.blocks[key]

    def _delta(self, event, delta, kind):
        block = self._block(event, delta.block_id)
        known, text = len(block.data), delta.text.encode()
        at = partial(self._at, event, f"block {delta.block_id} has {known} bytes, offset {delta.offset}")
        self.report.check(block.kind in ("", kind), "a block is of one kind", at)
        self.report.check(block.completed is None or self.resumed, "a whole block has no more deltas", at)
        if delta.offset > known:
            self.report.check(self.gaps > block.gaps, "no delta begins behind what is known of its block", at)
            block.hole = True
            block.data.extend(b"\0" * (delta.offset - known))
        elif delta.offset < known:
            self.report.check(self.resumed, "only the first event behind a cursor begins inside of what is known", at)
            split = (block.data[delta.offset] & 0xC0) == 0x80
            self.report.check(not split, "no offset lies inside a code point", at)
            del block.data[delta.offset :]
        block.kind, block.gaps = kind, self.gaps
        block.data.extend(text)

    def _text_delta(self, event, delta):
        self._delta(event, delta, "text_delta")

    def _thinking_delta(self, event, delta):
        self._delta(event, delta, "thinking_delta")

    def _block_completed(self, event, done):
        block = self._block(event, done.block_id)
        at = self._at(event, f"block {done.block_id} of {len(block.data)} bytes, told {done.length}")
        self.report.check(block.completed is None, "a block is completed once", at)
        kind = KINDS.get(done.kind, "")
        self.report.check(block.kind in ("", kind), "a block is of one kind", at)
        if done.length > len(block.data) and self.gaps > block.gaps:
            # Its last deltas are among what is missing: they can't be compared.
            block.hole = True
            block.data.extend(b"\0" * (done.length - len(block.data)))
        self.report.check(len(block.data) == done.length, "a block has the length that is told", at)
        if not block.hole:
            self.report.check(zlib.crc32(block.data) == done.crc32, "a block has the checksum that is told", at)
        block.kind, block.completed = kind, done

    def _step_discarded(self, event, void):
        at = (event.run_id, void.step, void.attempt)
        self.blocks = {key: block for key, block in self.blocks.items() if (block.run_id, block.step, block.attempt) != at}
        self.calls = {
            key: call for key, call in self.calls.items() if (key[0], call["step"], call["attempt"]) != at or call["started"] or call["outcome"]
        }
        self.read_by = {key: step for key, step in self.read_by.items() if step != at}

    def _message_received(self, event, message):
        content = tuple(block.SerializeToString(deterministic=True) for block in message.content)
        self.messages[message.message_id] = {"content": content, "run": message.run_id, "mode": message.queue_mode}
        if self.session["state"] == 1:
            self.session["state"] = 2

    def _run_queued(self, event, queued):
        self.runs[event.run_id]["messages"] = list(queued.message_ids)
        for message_id in queued.message_ids:
            if message_id in self.messages:
                self.messages[message_id]["run"] = event.run_id

    def _step_started(self, event, started):
        for message_id in started.message_ids:
            self.read_by[message_id] = (event.run_id, event.step, event.attempt)

    def _phase_changed(self, event, changed):
        self.runs[event.run_id]["phase"] = changed.phase

    def _usage(self, event, usage):
        self.runs[event.run_id]["usage"].append((usage.model, usage.input_tokens, usage.output_tokens, usage.stop_reason))

    def _run_finished(self, event, finished):
        self.runs[event.run_id]["status"] = finished.status

    def _call(self, event, call_id):
        new = {"tool": "", "arguments": "", "started": 0, "outcome": 0, "answer": None, "step": event.step, "attempt": event.attempt}
        return self.calls.setdefault((event.run_id, call_id), new)

    def _tool_call_proposed(self, event, proposed):
        call = self._call(event, proposed.call_id)
        call["tool"], call["arguments"] = proposed.tool, proposed.arguments_json

    def _tool_call_started(self, event, started):
        self._call(event, started.call_id)["started"] += 1

    def _tool_call_finished(self, event, finished):
        call = self._call(event, finished.call_id)
        call["outcome"], call["answer"] = finished.outcome, finished.SerializeToString(deterministic=True)

    def _session_updated(self, event, changed):
        for name in ("title", "state", "context_floor_seq"):
            if name in changed.fields:
                self.session[name] = getattr(changed, name)
