// Sends one message to an Atoll mesh and prints the answer as it comes.
//
// Usage: client "what does notes.md say?", with ATOLL_TOKEN and, if it is not 127.0.0.1:18789, ATOLL_ADDRESS.
package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"os"
	"time"

	content "atoll.example/go/atoll/content/v1"
	event "atoll.example/go/atoll/event/v1"
	gateway "atoll.example/go/atoll/gateway/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
)

func main() {
	address := os.Getenv("ATOLL_ADDRESS")
	if address == "" {
		address = "127.0.0.1:18789"
	}
	connection, err := grpc.Dial(address, grpc.WithInsecure())
	if err != nil {
		log.Fatal(err)
	}
	defer connection.Close()
	client := gateway.NewGatewayServiceClient(connection)
	ctx := metadata.AppendToOutgoingContext(context.Background(), "authorization", "Bearer "+os.Getenv("ATOLL_TOKEN"))

	// The same request id gets the same answer again: keep it when a call must be repeated.
	sent, err := client.SendMessage(ctx, &gateway.SendMessageRequest{
		RequestId: fmt.Sprintf("go-%d", time.Now().UnixNano()),
		Message: &content.MessageInput{Content: []*content.ContentBlock{{
			Block: &content.ContentBlock_Text{Text: &content.TextBlock{Text: os.Args[1]}},
		}}},
	})
	if err != nil {
		log.Fatal(err)
	}

	stream, err := client.Subscribe(ctx, &gateway.SubscribeRequest{SessionId: sent.SessionId, UntilRunId: sent.RunId})
	if err != nil {
		log.Fatal(err)
	}
	var seq uint64
	for {
		response, err := stream.Recv()
		if err == io.EOF {
			break
		}
		if err != nil {
			// The stream broke: subscribe again with AfterSeq: seq.
			log.Fatal(err)
		}
		for _, each := range response.Events {
			if each.FirstSeq != seq+1 {
				log.Fatalf("events between %d and %d are missing", seq, each.FirstSeq)
			}
			seq = each.Seq
			show(each)
		}
	}
	fmt.Printf("\nsession %s, %d events\n", sent.SessionId, seq)
}

func show(each *event.Event) {
	switch body := each.Body.(type) {
	case *event.Event_TextDelta:
		fmt.Print(body.TextDelta.Text)
	case *event.Event_ToolCallProposed:
		fmt.Printf("\n[calls %s]\n", body.ToolCallProposed.Tool)
	case *event.Event_RunFinished:
		fmt.Printf("\n[%s]\n", body.RunFinished.Status)
	}
}
