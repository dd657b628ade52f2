// buf curl without a schema holds the conversation: unary, server stream and Chat, over each protocol that it speaks.
import { bufCurl } from "./buf-curl-client.ts";
import { describeConversation, meshOfThisFile } from "./conversation-suite.ts";

const mesh = meshOfThisFile();
for (const options of [
  { protocol: "connect", http: "1.1" },
  { protocol: "connect", http: "2" },
  { protocol: "grpc", http: "2" },
  { protocol: "grpcweb", http: "1.1" },
  { protocol: "grpcweb", http: "2" },
] as const) {
  describeConversation(`buf curl ${options.protocol} h${options.http}`, bufCurl(options), mesh);
}
