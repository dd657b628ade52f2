/**
 * `atoll export`: a session as JSON lines, or as a transcript to read.
 *
 * Keeps L7: pages of the log go through to a file or pipe no faster than it takes them. A file has its name only when it
 * is whole. Keeps L9: what can't be shown is said.
 */
import { createWriteStream } from "node:fs";
import { rename, rm } from "node:fs/promises";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { toJsonString } from "@bufbuild/protobuf";
import { createClient } from "@connectrpc/connect";
import { type Event, EventSchema } from "../../../gen/atoll/event/v1/event_pb.ts";
import { SessionService } from "../../../gen/atoll/session/v1/session_service_pb.ts";
import { jsonRegistry } from "../../kernel/event/json-registry.ts";
import { visibleText } from "../../kernel/visible-text.ts";
import { type Command, UsageError } from "../command.ts";
import { connectMesh } from "../connect-mesh.ts";
import { clientFlags } from "../flags.ts";
import { LogBroken, readWholeLog } from "../printing/read-whole-log.ts";
import { writeTranscript } from "../printing/transcript.ts";
import { getSession } from "../session-name.ts";

export const exportSession: Command = {
  usage: "SESSION [--format jsonl|markdown] [--output FILE]",
  summary: "Write a session's whole log as JSON lines, or as a transcript.",
  details: ["", "SESSION is an id (ses_…) or a key."],
  flags: ["format", "output", ...clientFlags],
  async run({ words, flags, output, config }) {
    const [name, ...others] = words;
    if (name === undefined || others.length > 0) throw new UsageError("atoll export SESSION: one id (ses_…) or key");
    const { format = "jsonl" } = flags;
    if (format !== "jsonl" && format !== "markdown") {
      throw new UsageError(`--format must be jsonl or markdown, not ${format}`);
    }
    if (flags.json === true && format === "markdown")
      throw new UsageError("--json and --format markdown exclude each other");
    const client = createClient(SessionService, connectMesh({ flags, config }));
    const session = await getSession(client, name);
    const pages = readWholeLog(client, session.sessionId);
    const text = format === "jsonl" ? writeLines(pages) : writeParagraphs(writeTranscript(session, pages));
    try {
      if (flags.output === undefined) await output.pipe(text);
      else await writeToFile(text, flags.output);
      return 0;
    } catch (error) {
      if (!(error instanceof LogBroken)) throw error;
      output.failure({ code: "data_loss", reason: "LOG_BROKEN", message: error.message, isOwnWords: true });
      return 1;
    }
  },
};

async function* writeLines(pages: AsyncIterable<readonly Event[]>) {
  for await (const events of pages) {
    yield events
      .map((event) => `${visibleText(toJsonString(EventSchema, event, { registry: jsonRegistry }))}\n`)
      .join("");
  }
}

async function* writeParagraphs(paragraphs: AsyncIterable<string>) {
  for await (const paragraph of paragraphs) yield `${paragraph}\n\n`;
}

async function writeToFile(text: AsyncIterable<string>, path: string): Promise<void> {
  const unfinished = `${path}.${process.pid}.part`;
  try {
    await pipeline(Readable.from(text), createWriteStream(unfinished, { flags: "wx" }));
    await rename(unfinished, path);
  } catch (error) {
    await rm(unfinished, { force: true });
    throw isFileError(error) ? new UsageError(`--output ${path} can't be written: ${error.message}`) : error;
  }
}

function isFileError(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && "syscall" in error;
}
