"""Holds a conversation with the mesh: every queue mode, cancels, repeated and reused request ids, while several readers follow."""

import secrets
import threading

from atoll.content.v1 import message_pb2
from atoll.gateway.v1 import chat_pb2, gateway_service_pb2 as gateway
from atoll.session.v1 import session_service_pb2 as sessions
from client import PATIENCE, AtollError, Frames
from errors import check_refused
from readers import Follower
from sequence import body

FOLLOWUP, STEER, COLLECT, INTERRUPT, REJECT = 1, 2, 3, 4, 5
# What Talk says beside short questions. The built-in model says again what it is asked, so a long question has a long answer, here
# with letters of 1 to 4 bytes; and it reads a file that is named.
LONG = "Say this again, please: " + " ".join(f"{number} Löwen 漢字 🐚" for number in range(40))
SAY = ("what does notes.md say?", "what does no/such/file.md say?")


def message(text):
    """A message of one block of text."""
    made = message_pb2.MessageInput()
    made.content.add().text.text = text
    return made


def new_id():
    """A new request id."""
    return f"check-{secrets.token_hex(12)}"


class Conversation:
    """A Chat stream: frames go out, each is answered by its request id, events of open sessions are kept."""

    def __init__(self, mesh):
        self.mesh, self.frames = mesh, Frames()
        self.answers, self.events, self.failure = {}, {}, None
        self.news = threading.Condition()
        self.stream = mesh.stream(mesh.gateway.Chat, self.frames)
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        try:
            for response in self.mesh.responses(self.stream):
                with self.news:
                    kind = response.WhichOneof("frame")
                    if kind == "events":
                        self.events.setdefault(response.events.session_id, []).extend(response.events.events)
                    elif response.request_id:
                        self.answers[response.request_id] = response
                    self.news.notify_all()
        except AtollError as error:
            with self.news:
                self.failure = error
                self.news.notify_all()

    def say(self, request_id="", **action):
        """Sends a frame, for example `send=ChatSend(…)`; gives the id under which its answer comes."""
        request_id = request_id or new_id()
        with self.news:
            self.answers.pop(request_id, None)
        self.frames.put(chat_pb2.ChatRequest(request_id=request_id, **action))
        return request_id

    def answer(self, request_id):
        """The frame that answers; raises AtollError for one that was refused."""
        with self.news:
            self.news.wait_for(lambda: request_id in self.answers or self.failure, timeout=PATIENCE)
            response = self.answers.get(request_id)
        if response is None:
            raise self.failure or AtollError(4, f"Chat gave no answer to {request_id}")
        kind = response.WhichOneof("frame")
        if kind == "error":
            error = AtollError.of_frame(response.error)
            self.mesh.on_error(error)
            raise error
        return getattr(response, kind)

    def ask(self, request_id="", **action):
        """Sends a frame and waits for its answer."""
        return self.answer(self.say(request_id, **action))

    def refused(self, request_id="", **action):
        """The error that a frame is answered with, or None."""
        try:
            self.ask(request_id, **action)
        except AtollError as error:
            return error
        return None

    def end(self):
        """Ends both sides."""
        self.frames.end()
        self.stream.cancel()


class Talk:
    """One conversation in a session of its own. `long_question` is one whose answer takes a second or more; `say`: more to say."""

    def __init__(self, mesh, report, seed=0, long_question=LONG, say=SAY):
        self.mesh, self.report, self.seed = mesh, report, seed
        self.long_question, self.say = long_question, say
        self.session_id, self.runs, self.sent = "", [], {}

    def send(self, text, mode=FOLLOWUP, request_id="", **more):
        """SendMessage."""
        request = gateway.SendMessageRequest(request_id=request_id or new_id(), message=message(text), queue_mode=mode, **more)
        if self.session_id:
            request.session_id = self.session_id
        return request

    def frame(self, text, mode=FOLLOWUP, priority=0):
        """A `send` of Chat."""
        frame = chat_pb2.ChatSend(session_id=self.session_id, message=message(text), queue_mode=mode)
        frame.message.priority = priority
        return frame

    def accepted(self, answer):
        """Keeps what an answer promises: the log must have the message there."""
        self.sent[answer.message_id] = (answer.run_id, answer.seq)
        self.runs.append(answer.run_id)
        return answer

    def hold(self):
        """The whole conversation; gives its followers, who have read all of it."""
        first = self.begin()
        followers = [Follower(self.mesh, self.report, self.session_id, "the live reader", False, ways=("Subscribe",))]
        followers += [Follower(self.mesh, self.report, self.session_id, f"reader {number}", True, self.seed + number) for number in (1, 2, 3)]
        for follower in followers:
            follower.start()
        chat = Conversation(self.mesh)
        try:
            chat.ask(open=chat_pb2.ChatOpen(session_id=self.session_id))
            check_refused(self.report, chat.refused(open=chat_pb2.ChatOpen(session_id=self.session_id)), "FIELD_INVALID", "a second open")
            self.queue(chat, followers[0])
            self.stop(chat, followers[0])
            self.wait(first.run_id)
            self.speak(chat)
            for run_id in dict.fromkeys(self.runs):
                self.wait(run_id)
            self.reuse(chat)
            head = self.head()
            for follower in followers:
                self.report.check(follower.finish(head, PATIENCE), "a reader gets to the head", f"{follower.name}: {follower.cursor} of {head}")
            with chat.news:
                chat.news.wait_for(lambda: chat.failure or chat.events[self.session_id][-1].seq >= head, timeout=PATIENCE)
            chat.ask(close=chat_pb2.ChatClose(session_id=self.session_id))
            # What comes after the next open begins at the beginning again.
            with chat.news:
                self.chat_events = chat.events.pop(self.session_id)
            self.report.check(chat.ask(open=chat_pb2.ChatOpen(session_id=self.session_id)).head_seq == head, "a closed session opens again")
        finally:
            chat.end()
        return followers

    def begin(self):
        """The first message makes the session; the same request again, by any method that counts as the same, has the same answer."""
        request = self.send("Hello! What can you do?", if_head_seq=0)
        answer = self.accepted(self.mesh.call(self.mesh.gateway.SendMessage, request))
        again = self.mesh.call(self.mesh.gateway.SendMessage, request)
        self.report.check(again == answer, "a repeated request has the first answer", f"{again} for {answer}")
        self.report.check(answer.seq == 1, "a new session begins with its message", answer.seq)
        self.session_id = answer.session_id
        return answer

    def head(self):
        """The head of the session."""
        return self.mesh.call(self.mesh.sessions.GetSession, sessions.GetSessionRequest(session_id=self.session_id)).session.head_seq

    def wait(self, run_id):
        """WaitRun until the run has ended."""
        request = gateway.WaitRunRequest(run_id=run_id, timeout_ms=int(PATIENCE * 500))
        run = self.mesh.call(self.mesh.gateway.WaitRun, request).run
        self.report.check(run.state == 4 and run.finished_seq > 0, "a run ends, and WaitRun says so", f"{run_id} is {run.state}")
        return run

    def busy(self, live):
        """Asks for a long answer and waits for the first piece of it: the session is busy then."""
        answer = self.accepted(self.mesh.call(self.mesh.gateway.SendMessage, self.send(self.long_question)))
        began = live.wait_for(lambda event: event.run_id == answer.run_id and body(event) == "text_delta", PATIENCE)
        self.report.check(began is not None, "a run answers", answer.run_id)
        return answer

    def queue(self, chat, live):
        """Every queue mode at a session that is busy."""
        active = self.busy(live)
        self.reject(lambda: chat.ask(send=self.frame("Not now?", REJECT)), active)
        self.reject(lambda: self.mesh.call(self.mesh.gateway.SendMessage, self.send("Nor so?", REJECT)), active)
        steers = [self.accepted(chat.ask(steer=chat_pb2.ChatSteer(session_id=self.session_id, message=message(f"Look at this, too: {part}")))) for part in "ab"]
        waiting = [chat.say(send=self.frame(f"And then? {priority}", priority=priority)) for priority in (2, 1, 3)]
        collect = [chat.say(send=self.frame(f"Gather this: {part}", COLLECT)) for part in "abc"]
        answers = [self.accepted(chat.answer(request_id)) for request_id in waiting + collect]
        seqs = [answer.seq for answer in steers + answers]
        self.report.check(seqs == sorted(seqs), "what one stream sends is accepted in order", seqs)
        gathered = {answer.run_id for answer in answers[len(waiting) :]}
        if not self.mesh_is_done(active.run_id):
            self.report.check(len(gathered) == 1, "collected messages have one run", gathered)
            self.report.check(all(steer.run_id == active.run_id for steer in steers), "a steer names the active run")
        cancelled = self.accepted(chat.ask(send=self.frame("Never mind this.")))
        self.mesh.call(self.mesh.gateway.CancelRun, gateway.CancelRunRequest(request_id=new_id(), run_id=cancelled.run_id))

    def reject(self, ask, active):
        """A message that is only taken when the active run has ended meanwhile."""
        try:
            self.accepted(ask())
            self.report.check(self.mesh_is_done(active.run_id), "what must be refused is refused", "REJECT at a busy session was taken")
        except AtollError as error:
            check_refused(self.report, error, "SESSION_BUSY", "REJECT", run_id=active.run_id)

    def mesh_is_done(self, run_id):
        """Whether a run has ended by now."""
        return self.mesh.call(self.mesh.sessions.GetRun, sessions.GetRunRequest(run_id=run_id)).run.state == 4

    def stop(self, chat, live):
        """Interrupts and cancels runs that are at work."""
        self.busy(live)
        self.accepted(chat.ask(send=self.frame("This waits.")))
        self.accepted(chat.ask(steer=chat_pb2.ChatSteer(session_id=self.session_id, message=message("Will you still read this?"))))
        self.accepted(chat.ask(send=self.frame("Stop that. What is this instead?", INTERRUPT)))
        active = self.busy(live)
        request = gateway.CancelRunRequest(request_id=new_id(), run_id=active.run_id, reason="the checker wants to see it")
        run = self.mesh.call(self.mesh.gateway.CancelRun, request).run
        again = self.mesh.call(self.mesh.gateway.CancelRun, request).run
        self.report.check(again == run, "a repeated request has the first answer", "CancelRun")
        ended = self.wait(active.run_id)
        self.report.check(ended.status in (1, 3), "a cancelled run ends so, or had ended", ended.status)
        cancel = chat.ask(cancel=chat_pb2.ChatCancel(run_id=active.run_id))
        self.report.check(cancel.run_id == active.run_id, "an accepted cancel names its run")
        none = chat.refused(cancel=chat_pb2.ChatCancel(run_id="run_00000000000000000000000000"))
        check_refused(self.report, none, "RUN_NOT_FOUND", "a cancel of no run", run_id="run_00000000000000000000000000")

    def speak(self, chat):
        """What makes the model call tools, and whatever else the caller wants said."""
        for text in self.say:
            self.accepted(chat.ask(send=self.frame(text)))

    def reuse(self, chat):
        """Request ids: the same request again by any method of the same kind, another request, one that was refused, a moved head."""
        request = self.send("Once, and only once.")
        answer = self.accepted(self.mesh.call(self.mesh.gateway.SendMessage, request))
        submit = sessions.SubmitMessageRequest(
            request_id=request.request_id, session_id=self.session_id, message=request.message, queue_mode=FOLLOWUP)
        again = [
            self.mesh.call(self.mesh.sessions.SubmitMessage, submit),
            chat.ask(request.request_id, send=self.frame("Once, and only once.")),
        ]
        for other in again:
            same = (other.message_id, other.run_id, other.seq) == (answer.message_id, answer.run_id, answer.seq)
            self.report.check(same, "a repeated request has the first answer", type(other).__name__)
        changed = self.send("Something else.", request_id=request.request_id)
        for error in (self.mesh.refused(self.mesh.gateway.SendMessage, changed), chat.refused(request.request_id, send=self.frame("Else."))):
            check_refused(self.report, error, "REQUEST_ID_REUSED", "a request id with another body", request_id=request.request_id)
        moved = self.send("Too late.", if_head_seq=1)
        check_refused(self.report, self.mesh.refused(self.mesh.gateway.SendMessage, moved), "HEAD_MOVED", "a head that moved")
        moved.ClearField("if_head_seq")
        self.accepted(self.mesh.call(self.mesh.gateway.SendMessage, moved))
        invalid = self.send("", request_id="not an id!")
        check_refused(self.report, self.mesh.refused(self.mesh.gateway.SendMessage, invalid), "FIELD_INVALID", "a bad id", field="request_id")
        for run_id in self.runs[-2:]:
            self.wait(run_id)

    def check_sent(self, judge):
        """Each answer's promise: the message stands where it said, with the run that it named, or that it moved to later."""
        for message_id, (run_id, seq) in self.sent.items():
            found = judge.messages.get(message_id)
            held = found is not None and found["seq"] == seq and found["runs"][0] == run_id
            self.report.check(held, "an accepted message is in the log as its answer said", message_id)
        extra = set(judge.messages) - set(self.sent)
        self.report.check(not extra, "nothing is in the log that was not accepted", extra)
