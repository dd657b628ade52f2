"""The fold in Python: a session's events in, the conversation out.

Events are messages of the generated stubs (atoll.event.v1.Event). The rules are those of the golden vectors beside
test/contract/fold-vectors/README.md, and so is the form of the conversation. An event that is refused changes nothing.
"""

import zlib

from atoll.event.v1 import log_events_pb2, run_events_pb2, tool_events_pb2
from google.protobuf import json_format

MAX_SEQ = 2**53 - 1
HOLE = "\u2026"
# Bodies that change nothing when they are applied again; None is a body that these stubs do not know.
MAY_OVERLAP = {"text_delta", "thinking_delta", "omitted", "log_truncated", "history_trimmed", None}


class FoldError(Exception):
    """What is wrong with an event: range, gap, repeat, offset, border, length or checksum."""

    def __init__(self, problem, seq):
        super().__init__(f"{problem} at {seq}")
        self.problem = problem


class Block:
    """A piece of model output. `before` is what stands in front of the last hole, `tail` the bytes behind it."""

    def __init__(self, block_id, output, step, attempt):
        self.block_id = block_id
        self.output = output
        self.step = step
        self.attempt = attempt
        self.before = ""
        self.tail = b""
        self.tail_byte = 0
        self.complete = False
        self.missing = False
        self.last_seq = 0

    @property
    def byte_length(self):
        return self.tail_byte + len(self.tail)

    def describe(self):
        described = {
            "blockId": self.block_id,
            "output": self.output,
            "text": self.before + self.tail.decode(),
            "complete": self.complete,
        }
        return {"block": {**described, **present(missing=self.missing)}}


class Run:
    def __init__(self, run_id):
        self.run_id = run_id
        self.attempt = 0
        self.state = {"kind": "queued"}
        self.items = []

    def move(self, **state):
        if self.state["kind"] != "finished":
            self.state = present(**state)

    def find(self, kind, key, value):
        """The newest item of a kind; an item is a Block, or a dict of one key."""
        for item in reversed(self.items):
            if not isinstance(item, Block) and kind in item and item[kind].get(key) == value:
                return item[kind]
        return None

    def describe(self):
        attempt = {"attempt": self.attempt} if self.attempt > 1 else {}
        items = [describe_item(item) for item in self.items]
        return {"run": {"runId": self.run_id, **attempt, "state": self.state, "items": items}}


def describe_item(item):
    if isinstance(item, Block):
        return item.describe()
    # What begins with an underscore is for the fold alone; a call whose beginning is hidden has no tool.
    ((kind, said),) = item.items()
    hidden = {key for key, value in said.items() if key[0] == "_" or (key == "tool" and value == "")}
    return {kind: {key: value for key, value in said.items() if key not in hidden}}


def present(**fields):
    """The fields that are not at their default."""
    return {key: value for key, value in fields.items() if value not in (None, "", 0, False) and value != {}}


def name_of(enum, value):
    """The name of an enum's value; empty for the default."""
    return "" if value == 0 else enum.Name(value)


def text_of(content):
    return "".join(block.text.text for block in content if block.WhichOneof("block") == "text")


class Conversation:
    def __init__(self):
        self.seq = 0
        self.resumes = False
        self.hidden_through = 0
        self.title = ""
        self.session_state = ""
        self.usage = {}
        self.turns = []

    def resume(self):
        """The next event comes from a new stream: only that one may begin at or before `seq`."""
        self.resumes = True

    def apply(self, event):
        """Raises FoldError."""
        first, last = event.first_seq, event.seq
        if first < 1 or last < first or last > MAX_SEQ:
            raise FoldError("range", last)
        body = event.WhichOneof("body")
        if first != self.seq + 1:
            overlaps = first <= self.seq < last
            if not (overlaps and self.resumes and body in MAY_OVERLAP):
                raise FoldError("gap" if first > self.seq else "repeat", last)
        if body is not None:
            getattr(self, "_" + body, self._ignore)(event, getattr(event, body))
        self.seq = last
        self.resumes = False

    def describe(self):
        facts = present(title=self.title, sessionState=self.session_state, usage=present(**self.usage))
        turns = [turn.describe() if isinstance(turn, Run) else turn for turn in self.turns]
        return {"seq": self.seq, **facts, "turns": turns}

    def _ignore(self, event, body):
        pass

    # Runs and messages.

    def _find_run(self, run_id):
        for turn in reversed(self.turns):
            if isinstance(turn, Run) and turn.run_id == run_id:
                return turn
        return None

    def _run(self, run_id):
        run = self._find_run(run_id)
        if run is None:
            run = Run(run_id)
            self.turns.append(run)
        return run

    def _message_received(self, event, body):
        said = {"messageId": body.message_id, "runId": body.run_id, "text": text_of(body.content)}
        run = self._find_run(body.run_id)
        if run is None:
            self.turns.append({"message": said})
        elif run.state["kind"] == "queued":
            self.turns.insert(self.turns.index(run), {"message": said})
        else:
            run.items.append({"message": said})

    def _run_queued(self, event, body):
        for message_id in body.message_ids:
            self._move_unread(event.run_id, message_id)
        run = self._run(event.run_id)
        if run.state["kind"] == "queued":
            run.state = present(kind="queued", position=body.position)

    def _move_unread(self, run_id, message_id):
        """What an ended run was steered with and never read stands before the run that answers it."""
        for turn in reversed(self.turns):
            said = turn.find("message", "messageId", message_id) if isinstance(turn, Run) else None
            if said is None:
                continue
            if turn.run_id != run_id:
                turn.items = [item for item in turn.items if isinstance(item, Block) or item.get("message") is not said]
                self.turns.append({"message": {**said, "runId": run_id}})
            return

    def _taken(self, event, attempt):
        run = self._run(event.run_id)
        run.attempt = max(run.attempt, attempt)
        run.move(kind="running")

    def _run_started(self, event, body):
        self._taken(event, max(event.attempt, 1))

    def _run_resumed(self, event, body):
        self._note(event, kind="resumed", attempt=body.attempt, reason=body.reason)
        self._taken(event, body.attempt)

    def _step_started(self, event, body):
        self._run(event.run_id).move(kind="running")

    def _phase_changed(self, event, body):
        self._run(event.run_id).move(kind="running", phase=name_of(run_events_pb2.Phase, body.phase))

    def _run_parked(self, event, body):
        reason = name_of(run_events_pb2.ParkReason, body.reason)
        self._run(event.run_id).move(kind="parked", reason=reason, waitsFor=body.waits_for)

    def _model_waiting(self, event, body):
        wait = {"waitMs": body.wait_ms, "reason": body.reason, "retry": body.retry, "of": body.of}
        self._run(event.run_id).move(kind="waiting", **wait)

    def _run_finished(self, event, body):
        failure = json_format.MessageToDict(body.failure) if body.HasField("failure") else None
        status = name_of(run_events_pb2.RunStatus, body.status)
        self._run(event.run_id).move(kind="finished", status=status, failure=failure, cancelledBy=body.cancelled_by)

    # Blocks.

    def _find_block(self, run_id, block_id):
        run = self._find_run(run_id)
        blocks = [item for item in run.items if isinstance(item, Block)] if run else []
        return next((block for block in reversed(blocks) if block.block_id == block_id), None)

    def _own_block(self, event, block_id, output):
        block = self._find_block(event.run_id, block_id)
        if block is None:
            block = Block(block_id, output, event.step, event.attempt)
            self._run(event.run_id).items.append(block)
        return block

    def _explains_hole(self, block):
        return self.hidden_through > (block.last_seq if block else 0)

    @staticmethod
    def _open_hole(block, offset):
        block.before += block.tail.decode() + HOLE
        block.tail = b""
        block.tail_byte = offset
        block.missing = True

    def _delta(self, event, body, output):
        known = self._find_block(event.run_id, body.block_id)
        length = known.byte_length if known else 0
        if body.offset > length and not self._explains_hole(known):
            raise FoldError("offset", event.seq)
        keeps = body.offset - (known.tail_byte if known else 0)
        # A byte 10xxxxxx goes on with a code point that began before it.
        if known and 0 <= keeps < len(known.tail) and known.tail[keeps] & 0xC0 == 0x80:
            raise FoldError("border", event.seq)
        block = self._own_block(event, body.block_id, output)
        if body.offset > length:
            self._open_hole(block, body.offset)
        elif keeps < 0:
            # Inside the hole or before it: what is known behind the hole is void, and it begins anew here.
            block.tail = b""
            block.tail_byte = body.offset
        else:
            block.tail = block.tail[:keeps]
        block.tail += body.text.encode()
        block.complete = False
        block.last_seq = event.seq

    def _text_delta(self, event, body):
        self._delta(event, body, "text")

    def _thinking_delta(self, event, body):
        self._delta(event, body, "thinking")

    def _block_completed(self, event, body):
        output = "thinking" if body.kind == 2 else "text"
        known = self._find_block(event.run_id, body.block_id)
        length = known.byte_length if known else 0
        opens = body.length > length and self._explains_hole(known)
        if body.length != length and not opens:
            raise FoldError("length", event.seq)
        whole = not opens and not (known and known.missing)
        if whole and zlib.crc32(known.tail if known else b"") != body.crc32:
            raise FoldError("checksum", event.seq)
        block = self._own_block(event, body.block_id, output)
        if opens:
            self._open_hole(block, body.length)
        block.output = output
        block.complete = True
        block.last_seq = event.seq

    def _step_discarded(self, event, body):
        run = self._run(event.run_id)
        place = (body.step, body.attempt)
        run.items = [item for item in run.items if not is_void(item, place)]
        self._note(event, kind="stepDiscarded", step=body.step, attempt=body.attempt)

    # Calls and questions.

    def _own_call(self, event, call_id):
        run = self._run(event.run_id)
        call = run.find("call", "callId", call_id)
        if call is None:
            call = {"callId": call_id, "state": {"kind": "proposed"}, "_place": (event.step, event.attempt)}
            run.items.append({"call": call})
        return call

    def _tool_call_proposed(self, event, body):
        call = self._own_call(event, body.call_id)
        call["tool"] = body.tool
        call.pop("argumentsJson", None)
        if body.arguments_json:
            call["argumentsJson"] = body.arguments_json

    def _tool_call_started(self, event, body):
        call = self._own_call(event, body.call_id)
        call["tool"] = body.tool
        if call["state"]["kind"] == "proposed":
            call["state"] = {"kind": "running"}

    def _tool_progress(self, event, body):
        progress = {"progress": body.progress, "total": body.total, "message": body.message}
        self._own_call(event, body.call_id)["progress"] = progress

    def _tool_call_finished(self, event, body):
        outcome = name_of(tool_events_pb2.ToolOutcome, body.outcome)
        state = present(kind="finished", outcome=outcome, text=text_of(body.content), message=body.message, truncated=body.truncated)
        self._own_call(event, body.call_id)["state"] = state

    def _approval_requested(self, event, body):
        self._tool_call_proposed(event, body)
        approval = present(approvalId=body.approval_id, digest=body.digest, reason=body.reason)
        self._own_call(event, body.call_id)["approval"] = approval

    def _approval_resolved(self, event, body):
        for item in self._run(event.run_id).items:
            approval = item.get("call", {}).get("approval") if isinstance(item, dict) else None
            if approval is not None and approval["approvalId"] == body.approval_id:
                approval.update(present(decision=name_of(tool_events_pb2.ApprovalDecision, body.decision)))

    def _own_question(self, event, question_id):
        run = self._run(event.run_id)
        question = run.find("question", "questionId", question_id)
        if question is None:
            question = {"questionId": question_id}
            run.items.append({"question": question})
        return question

    def _question_asked(self, event, body):
        self._own_question(event, body.question_id).update(present(message=body.message))

    def _question_answered(self, event, body):
        action = name_of(tool_events_pb2.AnswerAction, body.action)
        self._own_question(event, body.question_id).update(present(action=action))

    # What happens beside.

    def _note(self, event, **note):
        self._run(event.run_id).items.append({"note": present(**note)})

    def _model_switched(self, event, body):
        self._note(event, kind="modelSwitched", **{"from": body.from_model, "to": body.to_model}, reason=body.reason)

    def _history_mended(self, event, body):
        self._note(event, kind="historyMended", reason=body.reason)

    def _tool_left_out(self, event, body):
        self._note(event, kind="toolLeftOut", tool=body.tool, reason=body.reason)

    def _compacted(self, event, body):
        self._note(event, kind="compacted", tokensBefore=body.tokens_before, tokensAfter=body.tokens_after)

    def _subagent_spawned(self, event, body):
        facts = {"sessionId": body.session_id, "agentId": body.agent_id, "task": body.task}
        self._note(event, kind="subagentSpawned", **facts)

    def _subagent_finished(self, event, body):
        status = name_of(run_events_pb2.RunStatus, body.status)
        self._note(event, kind="subagentFinished", sessionId=body.session_id, status=status)

    def _usage(self, event, body):
        used = {
            "modelCalls": 1,
            "inputTokens": body.input_tokens,
            "outputTokens": body.output_tokens,
            "cacheReadTokens": body.cache_read_tokens,
            "cacheWriteTokens": body.cache_write_tokens,
            "costMicroUsd": body.cost_micro_usd,
        }
        self.usage = {key: self.usage.get(key, 0) + count for key, count in used.items()}

    def _session_updated(self, event, body):
        if "title" in body.fields:
            self.title = body.title
        if "state" in body.fields:
            self.session_state = name_of(log_events_pb2.SessionState, body.state)

    def _omitted(self, event, body):
        self.hidden_through = event.seq

    def _lose(self, event, cause, reason):
        self.hidden_through = event.seq
        lost = {"cause": cause, "firstSeq": event.first_seq, "lastSeq": event.seq, **present(reason=reason)}
        self.turns.append({"lost": lost})

    def _log_truncated(self, event, body):
        self._lose(event, "truncated", body.reason)

    def _history_trimmed(self, event, body):
        self._lose(event, "trimmed", "")


def is_void(item, place):
    """A call that was let through may have had its effect: hiding it would be a lie."""
    if isinstance(item, Block):
        return (item.step, item.attempt) == place
    call = item.get("call")
    return call is not None and call["state"]["kind"] == "proposed" and call["_place"] == place
