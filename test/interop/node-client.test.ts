// Connect for Node holds the conversation over each protocol, codec and HTTP version; Chat wherever it can (HTTP/2).
import { describeConversation, meshOfThisFile } from "./conversation-suite.ts";
import { nodeClient, nodeClients } from "./node-client.ts";

const mesh = meshOfThisFile();
for (const options of nodeClients) {
  const name = `connect-node ${options.protocol} ${options.codec} h${options.http}`;
  describeConversation(name, nodeClient(options), mesh, options.http === "2");
}
