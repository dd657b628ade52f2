/**
 * SessionService as the hops inside the mesh speak it: the same paths and the same bytes, but events stay encoded
 * (`bytes`) so that no hop decodes them. test/contract/raw-events.test.ts pins that the twins are the same on the wire.
 */
import type { DescMessage, DescMethod } from "@bufbuild/protobuf";
import type { GenService } from "@bufbuild/protobuf/codegenv2";
import {
  type RawAttachRequestSchema,
  type RawAttachResponseSchema,
  type RawEventPageSchema,
  type RawWatchResponseSchema,
  RawAttachRequestSchema as rawAttachRequest,
  RawAttachResponseSchema as rawAttachResponse,
  RawEventPageSchema as rawEventPage,
  RawWatchResponseSchema as rawWatchResponse,
} from "../../../../gen/atoll/internal/v1/raw_events_pb.ts";
import { SessionService } from "../../../../gen/atoll/session/v1/session_service_pb.ts";

type Methods = typeof SessionService extends GenService<infer M> ? M : never;

type RawMethods = {
  listEvents: Omit<Methods["listEvents"], "output"> & { output: typeof RawEventPageSchema };
  getSnapshot: Omit<Methods["getSnapshot"], "output"> & { output: typeof RawEventPageSchema };
  watch: Omit<Methods["watch"], "output"> & { output: typeof RawWatchResponseSchema };
  attach: Omit<Methods["attach"], "input" | "output"> & {
    input: typeof RawAttachRequestSchema;
    output: typeof RawAttachResponseSchema;
  };
};

const twins: Readonly<Record<string, { readonly input?: DescMessage; readonly output?: DescMessage }>> = {
  listEvents: { output: rawEventPage },
  getSnapshot: { output: rawEventPage },
  watch: { output: rawWatchResponse },
  attach: { input: rawAttachRequest, output: rawAttachResponse },
} satisfies Record<keyof RawMethods, unknown>;

const methods: DescMethod[] = SessionService.methods.map(
  (method) => ({ ...method, ...twins[method.localName] }) as DescMethod,
);

export const RawSessionService = {
  ...SessionService,
  methods,
  method: Object.fromEntries(methods.map((method) => [method.localName, method])),
} as unknown as GenService<Omit<Methods, keyof RawMethods> & RawMethods>;
