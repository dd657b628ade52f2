// The ledger of faults that people reported of other agent servers, MCP clients and chat pages (F…), and of attacks that
// were tried on a mesh of ours (E…), each with what is right. Tests cite them as they cite promises: `verifies("FT1")`.
import type { Requirement } from "./requirement.ts";

const holds = (statement: string): Requirement => ({ status: "holds", statement });

/** FT tool lists, FA answers of tools, FS servers, FW the model's wire, FC configuration, FE port, FL log and runs, FP page and terminal. */
const fieldReports = {
  FT1: holds(
    "A tool of a list is parsed alone; null is absent; a server that answers is never restarted for its list.",
  ),
  FT2: holds(
    "A parameter's name that a model API refuses is legal both ways, or its tool is left out with the reason.",
  ),
  FT3: holds("A schema of an older draft is mended where it is known, else left out, judged when it is listed."),
  FT4: holds("A tool's name is legal, unique and stable for the model; people see the real one."),
  FA1: holds("An answer with structured content alone is told to model and person as JSON text."),
  FA2: holds("A failed answer with a picture is text in the error result and the picture behind it."),
  FA3: holds("Bytes that are not what their media type says get the right type, or a sentence in their place."),
  FA4: holds("A picture too large for a model API is shrunk, or a sentence stands in its place."),
  FA5: holds("Pictures have a bound of their own, text another."),
  FA6: holds("Text that does not fit a model's context is shortened, oldest and largest first, and asked again."),
  FA7: holds("Of an answer with unknown or broken blocks what is readable is read and the rest is named."),
  FA8: holds("An answer over the bound of a message costs that call alone; its line is thrown away as it comes."),
  FA9: holds("An embedded resource that is text or a picture is shown as that, also when it comes as bytes."),
  FA10: holds("A call is timed out after a silence, and after a total; progress ends the silence."),
  FS1: holds("A server that offers no stream of its own (404, 405) is used without one."),
  FS2: holds("A server that forgot its session is initialised once and the refused call made again."),
  FS3: holds("A program that exits is told of with the lines of its error output that say why."),
  FS4: holds("Servers get what a program needs of the environment, and no socket or token of an agent."),
  FW1: holds("An answer is over with message_stop, whatever the connection does."),
  FW2: holds("Usage that is missing counts as zero."),
  FW3: holds("A wait that the model's API asks for is visible, can be cancelled and stays within the run's time."),
  FW4: holds("An answer with nothing in it is asked for once more, then told as such."),
  FW5: holds("A step has one budget of retries, and the server's word goes before it."),
  FW6: holds("What a log can't store of a model's answer is refused to the model as that call's error, once."),
  FW7: holds("A block that never stops or an index that comes again ends closed or voided, never half said."),
  FC1: holds("A relative path of a server's arguments starts at the folder of the configuration file."),
  FC2: holds("Variables are expanded in every text of a server; a missing one disables that server by name."),
  FC3: holds("The words of other programs in mcpServers are understood or warned about; elsewhere keys are strict."),
  FC4: holds("A path that begins with ~ is in the home folder."),
  FC5: holds("A byte order mark, CRLF, comments in JSON and anchors in YAML are taken."),
  FE1: holds("A deadline beyond 2^31 ms is clamped."),
  FE2: holds("A right token passes whatever wrong ones came from its address."),
  FE3: holds("A stream passes a buffering proxy: its last words arrive."),
  FE4: holds(
    "What is accepted can be read by a client with default limits: no answer exceeds 4 MiB with all around it.",
  ),
  FE5: holds(
    "A clock that jumps by days ends no run: tokens are renewed with the lease, refused assertions asked again.",
  ),
  FL1: holds("An answer that can't be sent as one event ends its own run with a reason and holds up no other."),
  FL2: holds("Arguments that can't be stored are refused once, and the model is told."),
  FL3: holds("A refused message changes nothing; a key makes its session; an empty session can be asked for."),
  FL4: holds("Each call of a run that was cancelled has one outcome, unknown where nobody knows."),
  FL5: holds("A store that went back gets a new log id, so that an old cursor is refused."),
  FL6: holds("A call whose ledger was lost is unknown when the log says that it had started, and is not made again."),
  FL7: holds("A service that ends tells open calls UNAVAILABLE with DRAINING, with trailers, in every protocol."),
  FL8: holds(
    "A signature over its bound is refused by name, text behind the end ignored, interleaved blocks kept apart.",
  ),
  FL9: holds("A daily reset comes once a day, also when the clock goes back over its hour."),
  FP1: holds(
    "The page works by plain HTTP on an address of the local network; a message leaves its box when accepted.",
  ),
  FP2: holds("Any number of tabs of a browser share one stream."),
  FP3: holds("The key that ends a composition sends nothing."),
  FP4: holds("Any move upwards lets go of the end of a conversation."),
  FP5: holds("Only a pair of double tildes strikes text through."),
  FP6: holds("Emphasis beside CJK, entities, line breaks and links before CJK punctuation are shown as people expect."),
  FP7: holds("A draft is kept per conversation, also over a reload."),
  FP8: holds("Text that goes from right to left is shown so."),
  FP9: holds("Lines pasted at the prompt are one message."),
  FP10: holds("NO_COLOR and TERM=dumb get no escape sequences."),
} as const satisfies Record<string, Requirement>;

const edgeReports = {
  E1: holds("Public RPCs read 4 KiB without compression, few at a time, within one budget of unauthenticated bytes."),
  E2: holds("A schema's patterns and cost are bounded; a check that takes long stops nobody else."),
  E3: holds("A stream whose first message does not come is ended in 10 s, and all anonymous streams have a sum."),
  E4: holds("A run token reaches its run, agent, epoch and session, ends with the run, and nothing else is found."),
  E5: holds("Repeated fields, maps, structures and the details of errors are bounded in count."),
  E6: holds("What waits to be written to a server is bounded; a server that does not read is ended."),
  E7: holds("Compiled code is cached in a folder of ours alone, or not at all."),
  E8: holds("A peer that takes nothing is cut as a whole; what nobody read is bounded as a sum."),
  E9: holds("A data folder inside a workspace is refused."),
  E10: holds("Messages a second of a server are bounded; one beyond it is ended, and it is told."),
  E11: holds("An address pays for resets and floods with a growing wait."),
  E12: holds("The page parses a block within a budget, else shows it as plain text."),
  E13: holds("An agent with an empty list of tools has no tool."),
  E14: holds("A body that can't be read is 400, whatever its deadline."),
  E15: holds("Text from outside reaches a terminal through one door that escapes what is hidden."),
  E16: holds("Ids and names have the pattern of their kind wherever they stand."),
  E17: holds("Inner bounds of a stop end before outer ones: a stubborn server does not fail the stop."),
  E18: holds("Two Host headers, oversize requests and leavers are answered at once and quietly."),
  E19: holds(
    "A data folder of somebody else is refused; the link of an administrator lives minutes and goes to terminals alone.",
  ),
  E20: holds("The runtime that is installed is the same release on every platform."),
  E21: holds("Counting and waiting cost one principal a bound."),
  E22: holds("A worker's process holds no key that signs for the mesh."),
} as const satisfies Record<string, Requirement>;

export const reports = { ...fieldReports, ...edgeReports };
export type ReportId = keyof typeof reports;
