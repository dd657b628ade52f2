/** The models that the fake serves, with the differences that a client must know: how thinking is asked for. */
export interface FakeModel {
  readonly id: string;
  readonly thinking: readonly string[];
  readonly contextTokens: number;
  readonly maxTokens: number;
}

const current = { contextTokens: 1_000_000, maxTokens: 128_000 };
const older = { contextTokens: 200_000, maxTokens: 64_000 };

export const fakeModels: readonly FakeModel[] = [
  { id: "claude-opus-5-5", thinking: ["adaptive"], ...current },
  { id: "claude-sonnet-5-5", thinking: ["adaptive", "between_tools"], ...current },
  { id: "claude-sonnet-5", thinking: ["adaptive", "disabled"], ...current },
  { id: "claude-sonnet-4-5", thinking: ["enabled", "disabled"], ...older },
  { id: "claude-haiku-4-5", thinking: ["enabled", "disabled"], ...older },
];

/** Any name that begins with `claude` is served; one that is not listed behaves like the older models. */
export function fakeModel(id: string): FakeModel | undefined {
  const listed = fakeModels.find((model) => model.id === id);
  return listed ?? (id.startsWith("claude") ? { id, thinking: ["enabled", "disabled"], ...older } : undefined);
}

export function modelBody(model: FakeModel): object {
  const has = (kind: string) => ({ supported: model.thinking.includes(kind) });
  const types = Object.fromEntries(
    ["adaptive", "enabled", "disabled", "between_tools"].map((kind) => [kind, has(kind)]),
  );
  return {
    type: "model",
    id: model.id,
    display_name: model.id,
    created_at: "2026-01-01T00:00:00Z",
    lifecycle: "active",
    max_input_tokens: model.contextTokens,
    max_tokens: model.maxTokens,
    capabilities: { thinking: { supported: true, types }, image_input: { supported: true } },
  };
}
