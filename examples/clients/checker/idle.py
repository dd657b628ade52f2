"""Checks what is told of a session that nobody speaks to, as far as it comes to that while the other checks go on."""

from atoll.session.v1 import session_service_pb2 as sessions
from talk import Talk, message, new_id
from ways import Reading

IDLE = 3


class IdleSession:
    """A session with an idle timeout of one second: the mesh notices it within 30 seconds."""

    def __init__(self, mesh, report):
        self.mesh, self.report = mesh, report
        talk = Talk(mesh, report)
        first = talk.begin()
        talk.wait(first.run_id)
        self.session_id = talk.session_id
        self.set_timeout(1)

    def set_timeout(self, seconds):
        """Sets the timeout; 0 for the mesh's own."""
        update = sessions.UpdateSessionRequest(request_id=new_id(), session_id=self.session_id)
        if seconds:
            update.session.idle_timeout.seconds = seconds
        update.session.SetInParent()
        update.update_mask.paths.append("idle_timeout")
        self.mesh.call(self.mesh.sessions.UpdateSession, update)

    def check(self):
        """Wakes it when it is idle by now, and checks its log."""
        request = sessions.GetSessionRequest(session_id=self.session_id)
        if self.mesh.call(self.mesh.sessions.GetSession, request).session.state != IDLE:
            self.report.note("the idle session was not told to be idle by the end: waking it was not checked")
        submit = sessions.SubmitMessageRequest(request_id=new_id(), session_id=self.session_id, message=message("Good morning!"))
        answer = self.mesh.call(self.mesh.sessions.SubmitMessage, submit)
        self.mesh.call(self.mesh.sessions.WaitRun, sessions.WaitRunRequest(run_id=answer.run_id, timeout_ms=60000))
        # Nothing is to happen while it is read.
        self.set_timeout(0)
        reading = Reading(self.mesh, self.report, self.session_id)
        reading.check_all(some=6, pages=(1,))
