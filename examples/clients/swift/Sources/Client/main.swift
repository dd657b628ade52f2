// Sends one message to an Atoll mesh and prints the answer as it comes.
//
// Usage: Client "what does notes.md say?", with ATOLL_TOKEN and, if it is not 127.0.0.1:18789, ATOLL_ADDRESS.
import Connect
import Foundation

struct Missing: Error {
  let after: UInt64
  let before: UInt64
}

func show(_ event: Atoll_Event_V1_Event) {
  switch event.body {
  case .textDelta(let delta): print(delta.text, terminator: "")
  case .toolCallProposed(let call): print("\n[calls \(call.tool)]")
  case .runFinished(let end): print("\n[\(end.status)]")
  default: break
  }
}

let environment = ProcessInfo.processInfo.environment
let address = environment["ATOLL_ADDRESS"] ?? "127.0.0.1:18789"
let headers: Headers = ["authorization": ["Bearer \(environment["ATOLL_TOKEN"] ?? "")"]]
let client = ProtocolClient(
  httpClient: URLSessionHTTPClient(),
  config: ProtocolClientConfig(host: "http://\(address)", networkProtocol: .connect, codec: ProtoCodec())
)
let gateway = Atoll_Gateway_V1_GatewayServiceClient(client: client)

// The same request id gets the same answer again: keep it when a call must be repeated.
let message = Atoll_Gateway_V1_SendMessageRequest.with {
  $0.requestID = UUID().uuidString
  $0.message.content = [.with { $0.text.text = CommandLine.arguments[1] }]
}
let answer = await gateway.sendMessage(request: message, headers: headers)
if let error = answer.error { throw error }
guard let sent = answer.message else { fatalError("neither a message nor an error") }

// When the stream breaks: subscribe again with afterSeq = seq.
var seq: UInt64 = 0
let stream = gateway.subscribe(headers: headers)
try stream.send(
  .with {
    $0.sessionID = sent.sessionID
    $0.untilRunID = sent.runID
  })
for await result in stream.results() {
  switch result {
  case .headers: break
  case .message(let response):
    for event in response.events {
      guard event.firstSeq == seq + 1 else { throw Missing(after: seq, before: event.firstSeq) }
      seq = event.seq
      show(event)
    }
  case .complete(_, let error, _):
    if let error { throw error }
  }
}
print("\nsession \(sent.sessionID), \(seq) events")
