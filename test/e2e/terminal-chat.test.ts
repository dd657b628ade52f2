/** `atoll chat` in a real terminal: Ctrl-C and Ctrl-D do what people expect of them. */
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { RunStatus } from "../../gen/atoll/event/v1/run_events_pb.ts";
import { verifies } from "../requirements.ts";
import { eventually, readLog } from "./mesh-client.fixture.ts";
import { type ScriptedMesh, startScriptedMesh } from "./scripted-mesh.fixture.ts";
import { ctrlC, ctrlD, openTerminal, type Terminal } from "./terminal.fixture.ts";

/** An answer of half a minute. */
const slowly = "tokens=1500 delay=20";

// Other systems have another `script`.
describe.runIf(process.platform === "linux")("talking in a terminal", () => {
  let scripted: ScriptedMesh;

  beforeAll(async () => {
    scripted = await startScriptedMesh({ config: JSON.stringify({ mcpServers: { filesystem: { disabled: true } } }) });
  });

  afterAll(async () => {
    await scripted?.stop();
  });

  /** Waits for the prompt of a conversation of its own. */
  async function talk(session: string): Promise<Terminal> {
    const terminal = openTerminal(["chat", "--to", session], scripted.mesh.folder);
    onTestFinished(() => terminal.close());
    await terminal.until("> ");
    return terminal;
  }

  /** How the runs of a session ended, when this many have. */
  async function endsOf(session: string, count: number): Promise<RunStatus[]> {
    const { client } = scripted;
    return eventually(`${count} runs of ${session} have ended`, async () => {
      const { session: found } = await client.session.getSession({ by: { case: "key", value: session } });
      const log = await readLog(client, found?.sessionId ?? "");
      const ends = log.flatMap(({ body }) => (body.case === "runFinished" ? [body.value.status] : []));
      return ends.length === count ? ends : undefined;
    });
  }

  test(`Ctrl-C cancels the answer that runs, and the conversation goes on ${verifies("R5")}`, async () => {
    const terminal = await talk("agent:main:cancel");
    terminal.type(`${slowly}\r`);
    await terminal.until("token2 ");
    terminal.type(ctrlC);
    await terminal.until("(cancelling; Ctrl-C once more leaves)");
    await terminal.until("(cancelled");
    await terminal.until("> ");
    terminal.type("how is it?\r");
    await terminal.until("All is well on the atoll.");
    await terminal.until("> ");
    expect(await endsOf("agent:main:cancel", 2)).toEqual([RunStatus.CANCELLED, RunStatus.COMPLETED]);
    terminal.type(ctrlC);
    expect(await terminal.ended).toBe(0);
  });

  test("Ctrl-D at the prompt leaves, also after an answer", async () => {
    const terminal = await talk("agent:main:leave");
    terminal.type("how is it?\r");
    await terminal.until("All is well on the atoll.");
    await terminal.until("> ");
    terminal.type(ctrlD);
    expect(await terminal.ended).toBe(0);
  });

  /** Says something while the mesh stands still. */
  async function sayIntoSilence(terminal: Terminal): Promise<void> {
    scripted.mesh.processOf("mesh").child.kill("SIGSTOP");
    onTestFinished(wake);
    terminal.type(`${slowly}\r`);
    await terminal.until(`${slowly}\r`);
    await terminal.untilReleased();
  }

  function wake(): void {
    scripted.mesh.processOf("mesh").child.kill("SIGCONT");
  }

  test("Ctrl-C cancels a message that is not accepted yet", async () => {
    const terminal = await talk("agent:main:early");
    await sayIntoSilence(terminal);
    terminal.type(ctrlC);
    await terminal.until("(cancelling; Ctrl-C once more leaves)");
    wake();
    await terminal.until("(cancelled");
    await terminal.until("> ");
    expect(await endsOf("agent:main:early", 1)).toEqual([RunStatus.CANCELLED]);
  });

  test("a second Ctrl-C leaves at once", async () => {
    const terminal = await talk("agent:main:twice");
    await sayIntoSilence(terminal);
    terminal.type(ctrlC);
    await terminal.until("(cancelling; Ctrl-C once more leaves)");
    terminal.type(ctrlC);
    expect(await terminal.ended).toBe(130);
  });
});
