// One peer has one key, however its address is written: limits that count per address cannot be dodged by spelling.
import { isIPv6 } from "node:net";

const groupsOfPrefix = 4;

/**
 * The key under which a peer is counted: IPv4 as it is, an IPv4 address mapped into IPv6 as IPv4, any other IPv6
 * address as its /64 (what one customer of a provider holds), anything else unchanged.
 */
export function canonicalAddress(address: string): string {
  const bare = address.split("%", 1)[0] ?? "";
  if (!isIPv6(bare)) return address;
  const groups = expandGroups(bare);
  const [, , , , , fifth = 0, high = 0, low = 0] = groups;
  if (fifth === 0xffff && groups.slice(0, 5).every((group) => group === 0)) {
    return [high >> 8, high & 0xff, low >> 8, low & 0xff].join(".");
  }
  const prefix = groups.slice(0, groupsOfPrefix).map((group) => group.toString(16));
  return `${prefix.join(":")}::/64`;
}

function expandGroups(address: string): number[] {
  const [head = "", tail] = address.split("::", 2);
  const before = readGroups(head);
  const after = tail === undefined ? [] : readGroups(tail);
  const zeros = tail === undefined ? 0 : 8 - before.length - after.length;
  return [...before, ...new Array<number>(zeros).fill(0), ...after];
}

function readGroups(text: string): number[] {
  if (text === "") return [];
  return text.split(":").flatMap((group) => {
    if (!group.includes(".")) return [Number.parseInt(group, 16)];
    const [a = 0, b = 0, c = 0, d = 0] = group.split(".").map(Number);
    return [a * 256 + b, c * 256 + d];
  });
}
