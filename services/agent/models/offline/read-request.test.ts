import { expect, it } from "vitest";
import { mostWords, readWish, type Wish } from "./read-request.ts";

const commands = (...steps: [string, object][][]) => ({
  kind: "commands",
  steps: steps.map((step) => step.map(([tool, args]) => ({ tool, arguments: args }))),
});

it.each<[string, object]>([
  ['/call fs.read {"path": "a"}', commands([["fs.read", { path: "a" }]])],
  ["/call fs.list", commands([["fs.list", {}]])],
  [
    '/call a.b {\n "x": 1\n}\n/call c.d\n/then e.f',
    commands(
      [
        ["a.b", { x: 1 }],
        ["c.d", {}],
      ],
      [["e.f", {}]],
    ),
  ],
  ["/call fs.read {path}", { kind: "bad-command" }],
  ["/call", { kind: "bad-command" }],
  ["/dance", { kind: "bad-command" }],
  ["/think about life", { kind: "think", about: "about life" }],
  ["/long 12", { kind: "long", words: 12 }],
  ["/long", { kind: "long", words: 200 }],
  ["/long 99999999", { kind: "long", words: mostWords }],
  ["/fail", { kind: "fail", how: "unavailable" }],
  ["/fail refused", { kind: "fail", how: "refused" }],
  ["/fail midway", { kind: "fail", how: "midway" }],
  ["Hello!", { kind: "greeting" }],
  ["hi there", { kind: "greeting" }],
  ["hello, which files are in the workspace?", { kind: "other" }],
  ['Repeat after me: "one two"', { kind: "repeat", text: "one two" }],
  ["say cheese", { kind: "repeat", text: "cheese" }],
  ["Please count to 5.", { kind: "count", to: 5 }],
  ["what can you do?", { kind: "help" }],
  ["what did I just say?", { kind: "recall" }],
  ["", { kind: "other" }],
])("%s", (question, wish) => {
  expect(readWish(question)).toMatchObject(wish as Wish);
});
