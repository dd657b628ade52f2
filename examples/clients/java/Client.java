// Sends one message to an Atoll mesh and prints the answer as it comes.
//
// Usage: Client "what does notes.md say?", with ATOLL_TOKEN and, if it is not 127.0.0.1:18789, ATOLL_ADDRESS.

import atoll.content.v1.ContentBlock;
import atoll.content.v1.MessageInput;
import atoll.content.v1.TextBlock;
import atoll.event.v1.Event;
import atoll.gateway.v1.GatewayServiceGrpc;
import atoll.gateway.v1.SendMessageRequest;
import atoll.gateway.v1.SubscribeRequest;
import io.grpc.ManagedChannel;
import io.grpc.ManagedChannelBuilder;
import io.grpc.Metadata;
import io.grpc.stub.MetadataUtils;
import java.util.UUID;

public final class Client {
  public static void main(String[] arguments) {
    String address = System.getenv().getOrDefault("ATOLL_ADDRESS", "127.0.0.1:18789");
    ManagedChannel channel = ManagedChannelBuilder.forTarget(address).usePlaintext().build();
    Metadata headers = new Metadata();
    headers.put(
        Metadata.Key.of("authorization", Metadata.ASCII_STRING_MARSHALLER), "Bearer " + System.getenv("ATOLL_TOKEN"));
    var gateway =
        GatewayServiceGrpc.newBlockingStub(channel)
            .withInterceptors(MetadataUtils.newAttachHeadersInterceptor(headers));

    // The same request id gets the same answer again: keep it when a call must be repeated.
    var text = ContentBlock.newBuilder().setText(TextBlock.newBuilder().setText(arguments[0]));
    var sent =
        gateway.sendMessage(
            SendMessageRequest.newBuilder()
                .setRequestId(UUID.randomUUID().toString())
                .setMessage(MessageInput.newBuilder().addContent(text))
                .build());

    var request =
        SubscribeRequest.newBuilder().setSessionId(sent.getSessionId()).setUntilRunId(sent.getRunId()).build();
    // When the stream breaks: subscribe again with setAfterSeq(seq).
    long seq = 0;
    var responses = gateway.subscribe(request);
    while (responses.hasNext()) {
      for (Event event : responses.next().getEventsList()) {
        if (event.getFirstSeq() != seq + 1) {
          throw new IllegalStateException("events between " + seq + " and " + event.getFirstSeq() + " are missing");
        }
        seq = event.getSeq();
        show(event);
      }
    }
    System.out.println("\nsession " + sent.getSessionId() + ", " + seq + " events");
    channel.shutdown();
  }

  private static void show(Event event) {
    switch (event.getBodyCase()) {
      case TEXT_DELTA -> System.out.print(event.getTextDelta().getText());
      case TOOL_CALL_PROPOSED -> System.out.println("\n[calls " + event.getToolCallProposed().getTool() + "]");
      case RUN_FINISHED -> System.out.println("\n[" + event.getRunFinished().getStatus() + "]");
      default -> {}
    }
  }
}
