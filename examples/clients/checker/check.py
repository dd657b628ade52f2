#!/usr/bin/env python3
"""An independent judge of Atoll's stream promise, written from the contracts' comments alone.

    check.py                      holds a conversation and checks all that the contracts promise of it
    check.py --session ses_…      checks a session that exists; reads only
    check.py --selftest           feeds the checks broken streams and shows that each is caught; needs no mesh

ATOLL_ADDRESS (default 127.0.0.1:18789) and ATOLL_TOKEN say which mesh. Exit code: 0 when all promises held, 1 when one did
not, 2 when the mesh can't be reached or the program was called wrongly."""

import argparse
import os
import sys
import time

try:
    import client
except ImportError as missing:
    sys.exit(print(f"{missing}: run generate.sh first, with the interpreter that has grpcio", file=sys.stderr) or 2)

from errors import check_error  # noqa: E402
from report import Report  # noqa: E402


def arguments():
    """The command line."""
    parser = argparse.ArgumentParser(description="Checks the promises of a mesh's streams.")
    parser.add_argument("--session", help="check this session, reading only")
    parser.add_argument("--long", metavar="TEXT", help="a message whose answer takes a second or more; default: one for the built-in model")
    parser.add_argument("--say", metavar="TEXT", action="append", help="a message to say, may be repeated; default: two that call tools")
    parser.add_argument("--seed", type=int, default=0, help="for the random cuts and cursors; default: the time")
    parser.add_argument("--every", action="store_true", help="read from every cursor, not from 24 of them")
    parser.add_argument("--selftest", action="store_true", help="check the checks")
    return parser.parse_args()


def check_existing(mesh, report, options):
    """Checks a session that exists."""
    from ways import Reading

    Reading(mesh, report, options.session, options.seed).check_all(some=0 if options.every else 24)


def check_own(mesh, report, options):
    """Holds a conversation, checks it, forks it, and closes what it made."""
    from forks import check_forks
    from idle import IdleSession
    from sequence import canonical, check_same, check_stream
    from talk import LONG, SAY, Talk
    from ways import Reading

    idle = IdleSession(mesh, report)
    talk = Talk(mesh, report, options.seed, options.long or LONG, options.say or SAY)
    followers = talk.hold()
    report.note(f"the conversation is session {talk.session_id}")
    reading = Reading(mesh, report, talk.session_id, options.seed)
    live = followers[0]
    reading.check_all(live.seqs, 0 if options.every else 24)
    talk.check_sent(reading.judge)
    for follower in followers:
        check_same(report, reading.log, follower.events, 0, f"{follower.name} in {follower.pieces} pieces")
        report.check(follower.fold.view() == reading.view, "every way of reading folds to the same conversation", follower.name)
    check_stream(report, talk.chat_events, 0, "the conversation's own stream")
    check_same(report, reading.log, talk.chat_events, 0, "the conversation's own stream")
    report.check(canonical(live.events) == canonical(reading.events), "every way of reading gives the same log", "the live reader, exactly")
    check_forks(mesh, report, reading, options.seed)
    idle.check()


def main():
    """Runs what the command line asks for; gives the exit code."""
    options = arguments()
    options.seed = options.seed or int(time.time())
    if options.selftest:
        import unittest

        import selftest

        result = unittest.TextTestRunner(verbosity=1).run(unittest.defaultTestLoader.loadTestsFromModule(selftest))
        return 0 if result.wasSuccessful() else 1
    address, token = os.environ.get("ATOLL_ADDRESS", "127.0.0.1:18789"), os.environ.get("ATOLL_TOKEN", "")
    if not token:
        print("ATOLL_TOKEN is empty: `atoll token` prints one", file=sys.stderr)
        return 2
    report = Report()
    mesh = client.Mesh(address, token, lambda error: check_error(report, error))
    try:
        mesh.connect()
        (check_existing if options.session else check_own)(mesh, report, options)
    except client.grpc.FutureTimeoutError:
        print(f"nothing answers at {address}", file=sys.stderr)
        return 2
    except client.AtollError as error:
        if error.reason in ("TOKEN_INVALID", "SCOPE_MISSING") or (options.session and error.reason == "SESSION_NOT_FOUND"):
            print(error, file=sys.stderr)
            return 2
        report.check(False, "calls that may be made are answered", repr(error))
    print(f"atoll checker, seed {options.seed}")
    report.print(sys.stdout)
    return 1 if report.violations else 0


if __name__ == "__main__":
    sys.exit(main())
