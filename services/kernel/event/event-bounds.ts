/**
 * How large an event may be, so that what is accepted can be read by everybody (L7): the default of gRPC clients is 4 MiB a
 * message, and each event must fit into one of any RPC, with all that stands around it.
 */

/** What clients with default limits take in one message. */
export const clientMessageBytes = 4_194_304;
/** The largest event of a log, as it is stored: 64 KiB less, for what an answer has beside it. */
export const maxEventBytes = clientMessageBytes - 65_536;
