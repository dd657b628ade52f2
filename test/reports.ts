// The ledger of faults that people reported of other agent servers, MCP clients and chat pages (F…), and of attacks that
// were tried on a mesh of ours (E…), each with what is right. Tests cite them as they cite promises: `verifies("FT1")`.
import type { Requirement } from "./requirements.ts";

const holds = (statement: string): Requirement => ({ status: "holds", statement });
const later = (statement: string): Requirement => ({ status: "later", issue: "Field and edge", statement });

/** FT tool lists, FA answers of tools, FS servers, FW the model's wire, FC configuration, FE port, FL log and runs, FP page and terminal. */
const fieldReports = {
  FT1: later(
    "A tool of a list is parsed alone; null is absent; a server that answers is never restarted for its list.",
  ),
  FT2: later(
    "A parameter's name that a model API refuses is legal both ways, or its tool is left out with the reason.",
  ),
  FT3: later("A schema of an older draft is mended where it is known, else left out, judged when it is listed."),
  FT4: later("A tool's name is legal, unique and stable for the model; people see the real one."),
  FA1: later("An answer with structured content alone is told to model and person as JSON text."),
  FA2: later("A failed answer with a picture is text in the error result and the picture behind it."),
  FA3: later("Bytes that are not what their media type says get the right type, or a sentence in their place."),
  FA4: later("A picture too large for a model API is shrunk, or a sentence stands in its place."),
  FA5: later("Pictures have a bound of their own, text another."),
  FA6: later("Text that does not fit a model's context is shortened, oldest and largest first, and asked again."),
  FA7: later("Of an answer with unknown or broken blocks what is readable is read and the rest is named."),
  FA8: later("An answer over the bound of a message costs that call alone; its line is thrown away as it comes."),
  FA9: later("An embedded resource that is text or a picture is shown as that, also when it comes as bytes."),
  FA10: later("A call is timed out after a silence, and after a total; progress ends the silence."),
  FS1: later("A server that offers no stream of its own (404, 405) is used without one."),
  FS2: later("A server that forgot its session is initialised once and the refused call made again."),
  FS3: later("A program that exits is told of with the lines of its error output that say why."),
  FS4: later("Servers get what a program needs of the environment, and no socket or token of an agent."),
  FW1: later("An answer is over with message_stop, whatever the connection does."),
  FW2: later("Usage that is missing counts as zero."),
  FW3: later("A wait that the model's API asks for is visible, can be cancelled and stays within the run's time."),
  FW4: later("An answer with nothing in it is asked for once more, then told as such."),
  FW5: later("A step has one budget of retries, and the server's word goes before it."),
  FW6: later("What a log can't store of a model's answer is refused to the model as that call's error, once."),
  FW7: later("A block that never stops or an index that comes again ends closed or voided, never half said."),
  FC1: later("A relative path of a server's arguments starts at the folder of the configuration file."),
  FC2: later("Variables are expanded in every text of a server; a missing one disables that server by name."),
  FC3: later("The words of other programs in mcpServers are understood or warned about; elsewhere keys are strict."),
  FC4: later("A path that begins with ~ is in the home folder."),
  FC5: later("A byte order mark, CRLF, comments in JSON and anchors in YAML are taken."),
  FE1: later("A deadline beyond 2^31 ms is clamped."),
  FE2: later("A right token passes whatever wrong ones came from its address."),
  FE3: later("A stream passes a buffering proxy: its last words arrive."),
  FE4: later(
    "What is accepted can be read by a client with default limits: no answer exceeds 4 MiB with all around it.",
  ),
  FE5: later(
    "A clock that jumps by days ends no run: tokens are renewed with the lease, refused assertions asked again.",
  ),
  FL1: later("An answer that can't be sent as one event ends its own run with a reason and holds up no other."),
  FL2: later("Arguments that can't be stored are refused once, and the model is told."),
  FL3: later("A refused message changes nothing; a key makes its session; an empty session can be asked for."),
  FL4: later("Each call of a run that was cancelled has one outcome, unknown where nobody knows."),
  FL5: later("A store that went back gets a new log id, so that an old cursor is refused."),
  FL6: later("A call whose ledger was lost is unknown when the log says that it had started, and is not made again."),
  FL7: later("A service that ends tells open calls UNAVAILABLE with DRAINING, with trailers, in every protocol."),
  FL8: later(
    "A signature over its bound is refused by name, text behind the end ignored, interleaved blocks kept apart.",
  ),
  FL9: later("A daily reset comes once a day, also when the clock goes back over its hour."),
  FP1: later(
    "The page works by plain HTTP on an address of the local network; a message leaves its box when accepted.",
  ),
  FP2: later("Any number of tabs of a browser share one stream."),
  FP3: later("The key that ends a composition sends nothing."),
  FP4: later("Any move upwards lets go of the end of a conversation."),
  FP5: later("Only a pair of double tildes strikes text through."),
  FP6: later("Emphasis beside CJK, entities, line breaks and links before CJK punctuation are shown as people expect."),
  FP7: later("A draft is kept per conversation, also over a reload."),
  FP8: later("Text that goes from right to left is shown so."),
  FP9: later("Lines pasted at the prompt are one message."),
  FP10: later("NO_COLOR and TERM=dumb get no escape sequences."),
} as const satisfies Record<string, Requirement>;

const edgeReports = {
  E1: later("Public RPCs read 4 KiB without compression, few at a time, within one budget of unauthenticated bytes."),
  E2: later("A schema's patterns and cost are bounded; a check that takes long stops nobody else."),
  E3: later("A stream whose first message does not come is ended in 10 s, and all anonymous streams have a sum."),
  E4: later("A run token reaches its run, agent, epoch and session, ends with the run, and nothing else is found."),
  E5: later("Repeated fields, maps, structures and the details of errors are bounded in count."),
  E6: later("What waits to be written to a server is bounded; a server that does not read is ended."),
  E7: later("Compiled code is cached in a folder of ours alone, or not at all."),
  E8: later("A peer that takes nothing is cut as a whole; what nobody read is bounded as a sum."),
  E9: later("A data folder inside a workspace is refused."),
  E10: later("Messages a second of a server are bounded; one beyond it is ended, and it is told."),
  E11: later("An address pays for resets and floods with a growing wait."),
  E12: later("The page parses a block within a budget, else shows it as plain text."),
  E13: later("An agent with an empty list of tools has no tool."),
  E14: later("A body that can't be read is 400, whatever its deadline."),
  E15: later("Text from outside reaches a terminal through one door that escapes what is hidden."),
  E16: later("Ids and names have the pattern of their kind wherever they stand."),
  E17: later("Inner bounds of a stop end before outer ones: a stubborn server does not fail the stop."),
  E18: later("Two Host headers, oversize requests and leavers are answered at once and quietly."),
  E19: later(
    "A data folder of somebody else is refused; the link of an administrator lives minutes and goes to terminals alone.",
  ),
  E20: later("The runtime that is installed is the same release on every platform."),
  E21: later("Counting and waiting cost one principal a bound."),
  E22: later("A worker's process holds no key that signs for the mesh."),
} as const satisfies Record<string, Requirement>;

export const reports = { ...fieldReports, ...edgeReports };
export type ReportId = keyof typeof reports;
