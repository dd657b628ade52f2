/** `atoll chat` in a real terminal: Ctrl-C and Ctrl-D do what people expect of them. */
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { RunStatus } from "../../gen/atoll/event/v1/run_events_pb.ts";
import { verifies } from "../requirements.ts";
import { eventually, readLog } from "./mesh-client.fixture.ts";
import { type ScriptedMesh, startScriptedMesh } from "./scripted-mesh.fixture.ts";
import { ctrlC, ctrlD, openTerminal, type Terminal } from "./terminal.fixture.ts";

/** An answer of half a minute. */
const slowly = "tokens=1500 delay=20";

/** Each terminal is a process of its own, and the machine may be busy. */
const timeout = 120_000;

// Other systems have another `script`.
describe.runIf(process.platform === "linux")("talking in a terminal", { timeout }, () => {
  let scripted: ScriptedMesh;

  beforeAll(async () => {
    scripted = await startScriptedMesh({ config: JSON.stringify({ mcpServers: { filesystem: { disabled: true } } }) });
  });

  afterAll(async () => {
    await scripted?.stop();
  });

  /** Waits for the prompt of a conversation of its own. */
  async function talk(session: string, env: Readonly<Record<string, string>> = {}): Promise<Terminal> {
    const terminal = openTerminal(["chat", "--to", session], scripted.mesh.folder, env);
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

  /** What the messages of a session say, when there are so many. */
  async function messagesOf(session: string, count: number): Promise<string[]> {
    const { client } = scripted;
    return eventually(`${count} messages of ${session}`, async () => {
      const { session: found } = await client.session.getSession({ by: { case: "key", value: session } });
      const log = await readLog(client, found?.sessionId ?? "");
      const said = log.flatMap(({ body }) => (body.case === "messageReceived" ? [body.value.content] : []));
      const texts = said.map((content) =>
        content.map(({ block }) => (block.case === "text" ? block.value.text : "")).join(),
      );
      return texts.length === count ? texts : undefined;
    });
  }

  test(`what is pasted is one message, with brackets and without ${verifies("FP9")}`, async () => {
    const terminal = await talk("agent:main:paste");
    expect(terminal.shown()).toContain("\u001b[?2004h");
    terminal.type("\u001b[200~one\rtwo\r  three\u001b[201~");
    await terminal.until("three");
    terminal.type(" and more\r");
    await terminal.until("All is well on the atoll.");
    await terminal.until("> ");
    terminal.type("four\rfive\rsix\r");
    await terminal.until("All is well on the atoll.");
    await terminal.until("> ");
    // The arrow key brings it back with its lines.
    terminal.type("\u001b[A");
    await terminal.until("six");
    terminal.type("\r");
    await terminal.until("All is well on the atoll.");
    await terminal.until("> ");
    const [pasted, ...others] = await messagesOf("agent:main:paste", 3);
    expect([pasted, ...others]).toEqual(["one\ntwo\n  three and more", "four\nfive\nsix", "four\nfive\nsix"]);
    terminal.type(ctrlD);
    expect(await terminal.ended).toBe(0);
    expect(terminal.shown().lastIndexOf("\u001b[?2004l")).toBeGreaterThan(
      terminal.shown().lastIndexOf("\u001b[?2004h"),
    );
  });

  test.each([
    ["NO_COLOR", { NO_COLOR: "1" }, /\p{Cc}\[[\d;]*m/u],
    ["NO_COLOR against FORCE_COLOR", { NO_COLOR: "yes", FORCE_COLOR: "3" }, /\p{Cc}\[[\d;]*m/u],
    ["TERM=dumb", { TERM: "dumb" }, /\p{Cc}\[/u],
  ])(
    `%s: no colours, and no escape sequence where the terminal takes none ${verifies("FP10")}`,
    async (name, env, never) => {
      const session = `agent:main:plain${name.length}`;
      const terminal = await talk(session, env);
      terminal.type("tokens=3\r");
      await terminal.until("token2 ");
      await terminal.until("> ");
      terminal.type(ctrlD);
      expect(await terminal.ended).toBe(0);
      expect(terminal.shown()).not.toMatch(never);
      const once = openTerminal(["chat", "--to", session, "tokens=3"], scripted.mesh.folder, env);
      expect(await once.ended).toBe(0);
      expect(once.shown()).toContain("token2");
      expect(once.shown()).not.toContain("\u001b");
    },
  );

  test(`an empty NO_COLOR is none ${verifies("FP10")}`, async () => {
    const terminal = openTerminal(["chat", "tokens=3"], scripted.mesh.folder, { NO_COLOR: "" });
    expect(await terminal.ended).toBe(0);
    expect(terminal.shown()).toContain("\u001b[2m");
  });
});
