import { expect, it } from "vitest";
import { canonicalAddress } from "./canonical-address.ts";

it.each([
  ["127.0.0.1", "127.0.0.1"],
  ["::ffff:127.0.0.1", "127.0.0.1"],
  ["::ffff:7f00:1", "127.0.0.1"],
  ["0:0:0:0:0:FFFF:192.168.1.9", "192.168.1.9"],
  ["::1", "0:0:0:0::/64"],
  ["2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"],
  ["2001:DB8:1:2::9", "2001:db8:1:2::/64"],
  ["2001:0db8:0001:0002::", "2001:db8:1:2::/64"],
  ["fe80::1%eth0", "fe80:0:0:0::/64"],
  ["not an address", "not an address"],
])("counts %s as %s", (address, key) => {
  expect(canonicalAddress(address)).toBe(key);
});

it("tells two customers' networks apart", () => {
  expect(canonicalAddress("2001:db8:1:2::1")).not.toBe(canonicalAddress("2001:db8:1:3::1"));
});
