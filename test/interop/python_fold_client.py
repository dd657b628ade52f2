"""Folds what comes: one JSON line in, one JSON line out.

In: {"streams": [[event, ...], ...]}, events as Protobuf JSON. Out: {"conversation": {...}}, or {"error": problem,
"conversation": {...}} when an event was refused: the conversation is what stood before it and still stands after it.
Environment: PYTHONPATH (the folder of the stubs).
"""

import json
import sys

from atoll.event.v1 import event_pb2
from google.protobuf import json_format
from python_fold import Conversation, FoldError


def fold(streams):
    conversation = Conversation()
    for index, stream in enumerate(streams):
        if index > 0:
            conversation.resume()
        for each in stream:
            event = json_format.ParseDict(each, event_pb2.Event(), ignore_unknown_fields=True)
            before = json.dumps(conversation.describe())
            try:
                conversation.apply(event)
            except FoldError as error:
                if json.dumps(conversation.describe()) != before:
                    raise AssertionError("a refused event has changed the conversation") from error
                return {"error": error.problem, "conversation": conversation.describe()}
    return {"conversation": conversation.describe()}


for line in sys.stdin:
    print(json.dumps(fold(json.loads(line)["streams"])), flush=True)
