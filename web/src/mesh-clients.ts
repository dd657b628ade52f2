/** The page's way to the mesh: typed clients over Connect in its binary format, with the token on every call. */
import { type Client, Code, ConnectError, createClient, type Interceptor } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-web";
import { AdminService } from "../../gen/atoll/admin/v1/admin_service_pb.ts";
import { GatewayService } from "../../gen/atoll/gateway/v1/gateway_service_pb.ts";
import { SessionService } from "../../gen/atoll/session/v1/session_service_pb.ts";
import { ToolRouterService } from "../../gen/atoll/tool/v1/tool_router_service_pb.ts";
import { basePath } from "./base-path.ts";
import { noticeRefusal, openSubscribe } from "./shared-stream/open-subscribe.ts";

export interface MeshClients {
  readonly gateway: Client<typeof GatewayService>;
  readonly session: Client<typeof SessionService>;
  readonly toolRouter: Client<typeof ToolRouterService>;
}

const baseUrl = `${window.location.origin}${basePath}`;

/** The longest that a unary call may take, in milliseconds. */
const unaryTimeoutMs = 30_000;

/** Clients that carry the token. `onRefused` is told when the mesh does not take it (UNAUTHENTICATED). */
export function openMeshClients(token: string, onRefused: () => void): MeshClients {
  const authorize: Interceptor = (next) => async (request) => {
    request.header.set("authorization", `Bearer ${token}`);
    try {
      return await next(request);
    } catch (error) {
      if (ConnectError.from(error).code === Code.Unauthenticated) onRefused();
      throw error;
    }
  };
  const transport = openTransport([authorize]);
  const gateway = createClient(GatewayService, transport);
  const subscribe = noticeRefusal(openSubscribe(gateway, { baseUrl, token }), (error) => {
    if (error.code === Code.Unauthenticated) onRefused();
  });
  return {
    gateway: { ...gateway, subscribe },
    session: createClient(SessionService, transport),
    toolRouter: createClient(ToolRouterService, transport),
  };
}

/** Exchanges the code of a one-time link for a token. Throws PERMISSION_DENIED LINK_INVALID when it is used or old. */
export async function redeemLink(code: string): Promise<string> {
  const admin = createClient(AdminService, openTransport([]));
  const { token } = await admin.redeemLink({ code }, { timeoutMs: unaryTimeoutMs });
  return token;
}

function openTransport(interceptors: Interceptor[]) {
  return createConnectTransport({
    baseUrl,
    useBinaryFormat: true,
    interceptors,
  });
}
