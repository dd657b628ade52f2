import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { describe, expect, it } from "vitest";
import { type ConnectionEnds, connectionEndsOf, createMeshProver, provesMesh } from "./mesh-proof.ts";

const token = `atl_${"x".repeat(43)}`;
const nonce = new Uint8Array(32).fill(7);
const ends: ConnectionEnds = { server: "127.0.0.1 18789", client: "127.0.0.1 40000" };
const proof = createMeshProver(token)(nonce, ends);

describe("the proof of a mesh", () => {
  it("is accepted by who knows the token, for this nonce on this connection", () => {
    expect(provesMesh(token, { nonce, ends, proof })).toBe(true);
  });

  it.each([
    ["another token", `atl_${"y".repeat(43)}`, {}],
    ["another nonce", token, { nonce: new Uint8Array(32).fill(8) }],
    ["another port of the mesh", token, { ends: { ...ends, server: "127.0.0.1 18790" } }],
    ["another address of the mesh", token, { ends: { ...ends, server: "127.0.0.2 18789" } }],
    ["another connection", token, { ends: { ...ends, client: "127.0.0.1 40001" } }],
    ["ends that run into each other", token, { ends: { server: "127.0.0.1 18789\x0a7.0.0.1", client: "40000" } }],
    ["no proof", token, { proof: new Uint8Array() }],
    ["a part of it", token, { proof: proof.subarray(0, 31) }],
    ["more than it", token, { proof: new Uint8Array([...proof, 0]) }],
    ["zeros", token, { proof: new Uint8Array(32) }],
    ["the nonce itself", token, { proof: nonce }],
  ])("is not accepted for %s", (_what, known, other) => {
    expect(provesMesh(known, { nonce, ends, proof, ...other })).toBe(false);
  });
});

describe("the ends of a connection", () => {
  it.each(["127.0.0.1", "::", "::1"])("look the same from both, listening on %s", async (host) => {
    const server = createServer().listen(0, host);
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    const accepted = once(server, "connection") as Promise<[Socket]>;
    const client = connect(port, host === "::1" ? "::1" : "127.0.0.1");
    await once(client, "connect");
    const [socket] = await accepted;
    const seen = connectionEndsOf(client, "client");
    expect(seen).toEqual(connectionEndsOf(socket, "server"));
    expect(seen?.server).toMatch(new RegExp(`^(127\\.0\\.0\\.1|::1) ${port}$`));
    client.destroy();
    socket.destroy();
    server.close();
  });

  it("are unknown without a connection", () => {
    expect(connectionEndsOf(new Map() as object, "server")).toBeUndefined();
  });
});
