"""Sends one message to an Atoll mesh and prints the answer as it comes.

Usage: client.py "what does notes.md say?", with ATOLL_TOKEN and, if it is not 127.0.0.1:18789, ATOLL_ADDRESS.
The stubs that generate.sh made must be on PYTHONPATH.
"""

import os
import sys
import uuid

import grpc
from atoll.event.v1 import run_events_pb2
from atoll.gateway.v1 import gateway_service_pb2, gateway_service_pb2_grpc


def show(event):
    body = event.WhichOneof("body")
    if body == "text_delta":
        print(event.text_delta.text, end="", flush=True)
    elif body == "tool_call_proposed":
        print(f"\n[calls {event.tool_call_proposed.tool}]")
    elif body == "run_finished":
        print(f"\n[{run_events_pb2.RunStatus.Name(event.run_finished.status)}]")


def main(text):
    address = os.environ.get("ATOLL_ADDRESS", "127.0.0.1:18789")
    headers = [("authorization", "Bearer " + os.environ["ATOLL_TOKEN"])]
    with grpc.insecure_channel(address) as channel:
        gateway = gateway_service_pb2_grpc.GatewayServiceStub(channel)

        # The same request id gets the same answer again: keep it when a call must be repeated.
        request = gateway_service_pb2.SendMessageRequest(request_id=str(uuid.uuid4()))
        request.message.content.add().text.text = text
        sent = gateway.SendMessage(request, metadata=headers)

        # When the stream breaks: subscribe again with after_seq=seq.
        seq = 0
        request = gateway_service_pb2.SubscribeRequest(session_id=sent.session_id, until_run_id=sent.run_id)
        for response in gateway.Subscribe(request, metadata=headers):
            for event in response.events:
                if event.first_seq != seq + 1:
                    raise RuntimeError(f"events between {seq} and {event.first_seq} are missing")
                seq = event.seq
                show(event)
        print(f"\nsession {sent.session_id}, {seq} events")


if __name__ == "__main__":
    try:
        main(sys.argv[1])
    except grpc.RpcError as error:
        sys.exit(f"{error.code().name}: {error.details()}")
