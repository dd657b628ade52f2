"""A gRPC client of the mesh. Its stubs are generated; requests come and responses go as Protobuf JSON, one a line.

Usage: python_client.py METHOD, where METHOD is SendMessage, Subscribe or Chat.
Environment: ATOLL_ADDRESS (host:port), ATOLL_TOKEN (may be empty), PYTHONPATH (the folder of the stubs).

A refused call prints {"refused": {...}} as its last line and ends with 1.
"""

import json
import os
import sys

import grpc
from atoll.gateway.v1 import chat_pb2, gateway_service_pb2, gateway_service_pb2_grpc
from google.protobuf import json_format
from google.rpc import error_details_pb2, status_pb2

REQUESTS = {
    "SendMessage": gateway_service_pb2.SendMessageRequest,
    "Subscribe": gateway_service_pb2.SubscribeRequest,
    "Chat": chat_pb2.ChatRequest,
}


def read_requests(method):
    for line in sys.stdin:
        yield json_format.Parse(line, REQUESTS[method]())


def show(message):
    print(json.dumps(json_format.MessageToDict(message)), flush=True)


def describe_refusal(error):
    refusal = {
        "code": error.code().value[1].replace(" ", "_"),
        "message": error.details(),
        "reason": "",
        "domain": "",
        "metadata": {},
        "fieldPaths": [],
    }
    trailers = dict(error.trailing_metadata() or ())
    status = status_pb2.Status.FromString(trailers.get("grpc-status-details-bin", b""))
    for detail in status.details:
        info = error_details_pb2.ErrorInfo()
        bad_request = error_details_pb2.BadRequest()
        if detail.Unpack(info):
            refusal["reason"] = info.reason
            refusal["domain"] = info.domain
            refusal["metadata"] = dict(info.metadata)
        elif detail.Unpack(bad_request):
            refusal["fieldPaths"] += [each.field for each in bad_request.field_violations]
    return refusal


def main(method):
    token = os.environ["ATOLL_TOKEN"]
    metadata = [("authorization", "Bearer " + token)] if token else []
    with grpc.insecure_channel(os.environ["ATOLL_ADDRESS"]) as channel:
        gateway = gateway_service_pb2_grpc.GatewayServiceStub(channel)
        requests = read_requests(method)
        try:
            if method == "SendMessage":
                show(gateway.SendMessage(next(requests), metadata=metadata))
            elif method == "Subscribe":
                for response in gateway.Subscribe(next(requests), metadata=metadata):
                    show(response)
            else:
                for response in gateway.Chat(requests, metadata=metadata):
                    show(response)
        except grpc.RpcError as error:
            print(json.dumps({"refused": describe_refusal(error)}), flush=True)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
