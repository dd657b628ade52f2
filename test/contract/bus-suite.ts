// The contract of Bus, for every driver. Delivery may take a while, so a test waits for a marker published last.
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Bus } from "../../services/kernel/bus/bus.ts";
import type { Appended } from "../../services/kernel/event/appended.ts";
import { verifies } from "../requirements.ts";

export interface BusDriver {
  /** `reportFault` is told what a listener threw. */
  readonly open: (reportFault: (error: unknown) => void) => Promise<Bus>;
}

function appended(sessionId: string, headSeq: number, tenant = "local"): Appended {
  const events = [{ firstSeq: headSeq, seq: headSeq, bytes: Uint8Array.of(0x3a, 0) }];
  return { tenant, sessionId, logId: "log", events, headSeq };
}

export function busSuite(name: string, driver: BusDriver): void {
  describe(`${name} ${verifies("L2", "L3")}`, () => {
    let bus: Bus;
    let faults: unknown[];
    beforeEach(async () => {
      faults = [];
      bus = await driver.open((error) => faults.push(error));
    });
    afterEach(() => bus.close());

    /** Resolves when everything that was published before has been delivered. */
    async function delivered(): Promise<void> {
      const { promise, resolve } = Promise.withResolvers<void>();
      const end = bus.subscribe("local", "marker", () => resolve());
      bus.publish(appended("marker", 1));
      await promise;
      end();
    }

    it("carries what was committed to every listener of the session, in order", async () => {
      const one: Appended[] = [];
      const two: Appended[] = [];
      bus.subscribe("local", "s", (hint) => one.push(hint));
      bus.subscribe("local", "s", (hint) => two.push(hint));
      bus.publish(appended("s", 1));
      bus.publish(appended("s", 2));
      await delivered();
      expect(one).toEqual([appended("s", 1), appended("s", 2)]);
      expect(two).toEqual(one);
    });

    it("keeps sessions and tenants apart, whatever their names are", async () => {
      const heard: string[] = [];
      for (const [tenant, sessionId] of [
        ["local", "other"],
        ["other", "s"],
        ["loc", "als"],
        ["locals", ""],
      ] as const) {
        bus.subscribe(tenant, sessionId, () => heard.push(`${tenant}/${sessionId}`));
      }
      bus.publish(appended("s", 1));
      await delivered();
      expect(heard).toEqual([]);
    });

    it("ends one subscription and leaves the others", async () => {
      const heard: string[] = [];
      const listener = () => heard.push("both");
      const endFirst = bus.subscribe("local", "s", listener);
      bus.subscribe("local", "s", listener);
      endFirst();
      endFirst();
      bus.publish(appended("s", 1));
      await delivered();
      expect(heard).toEqual(["both"]);
    });

    it("lets a listener end its subscription and begin another while it is called", async () => {
      const heard: string[] = [];
      const end = bus.subscribe("local", "s", () => {
        heard.push("first");
        end();
        bus.subscribe("local", "s", () => heard.push("second"));
      });
      bus.publish(appended("s", 1));
      await delivered();
      bus.publish(appended("s", 2));
      await delivered();
      expect(heard).toEqual(["first", "second"]);
    });

    it(`reports a listener that throws, and serves the others ${verifies("L9")}`, async () => {
      const fault = new Error("a listener's own fault");
      const heard: number[] = [];
      bus.subscribe("local", "s", () => {
        throw fault;
      });
      bus.subscribe("local", "s", ({ headSeq }) => heard.push(headSeq));
      expect(() => bus.publish(appended("s", 1))).not.toThrow();
      await delivered();
      expect(heard).toEqual([1]);
      expect(faults).toEqual([fault]);
    });

    it("wakes who follows the index of the tenant, whatever the session, and nobody else's", async () => {
      let woken = 0;
      const end = bus.subscribeIndex("local", () => {
        woken += 1;
      });
      bus.subscribeIndex("other", () => expect.fail("another tenant's index was woken"));
      bus.publish(appended("s", 1));
      bus.publish({ ...appended("t", 0), events: [] });
      await delivered();
      // The marker of `delivered` wakes as well.
      expect(woken).toBe(3);
      end();
      end();
      bus.publish(appended("s", 2));
      await delivered();
      expect(woken).toBe(3);
    });

    it("publishes to nobody without complaint", async () => {
      bus.publish(appended("s", 1));
      await delivered();
      expect(faults).toEqual([]);
    });

    it("delivers nothing after it was closed", async () => {
      const heard: number[] = [];
      bus.subscribe("local", "s", ({ headSeq }) => heard.push(headSeq));
      await bus.close();
      expect(() => bus.publish(appended("s", 1))).not.toThrow();
      await new Promise((resolve) => setImmediate(resolve));
      expect(heard).toEqual([]);
    });
  });
}
