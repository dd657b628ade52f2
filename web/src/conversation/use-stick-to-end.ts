/** Keeps the end of a growing text in sight, until the reader moves up: any move upwards lets go of it. */
import { useCallback, useEffect, useLayoutEffect, useRef, useState } from "react";

/** A reader who comes this close to the end by moving down is at the end again, in pixels. */
const closeToEndPx = 60;
const upKeys: readonly string[] = ["ArrowUp", "PageUp", "Home"];

/** `scroller` goes to the element that scrolls. */
export function useStickToEnd() {
  const scroller = useRef<HTMLDivElement>(null);
  const [isAtEnd, setIsAtEnd] = useState(true);
  // What an effect of this drawing must know at once, before the next one.
  const sticks = useRef(true);

  const stick = useCallback((next: boolean) => {
    sticks.current = next;
    setIsAtEnd(next);
  }, []);

  const goToEnd = useCallback(() => {
    const element = scroller.current;
    if (element === null) return;
    stick(true);
    element.scrollTop = element.scrollHeight;
  }, [stick]);

  useEffect(() => {
    const element = scroller.current;
    if (element === null) return;
    let lastTop = element.scrollTop;
    const look = (): void => {
      const top = element.scrollTop;
      const toEnd = element.scrollHeight - top - element.clientHeight;
      // Content that became shorter moves the place up, too, and leaves it at the end.
      if (top < lastTop && toEnd >= 1) stick(false);
      else if (top > lastTop && toEnd < closeToEndPx) stick(true);
      lastTop = top;
    };
    // A wheel or a key is there before the scrolling that it makes: the text that comes in between must not win.
    const onWheel = (event: WheelEvent): void => {
      if (event.deltaY < 0 && element.scrollTop > 0) stick(false);
    };
    const onKey = (event: KeyboardEvent): void => {
      if (upKeys.includes(event.key) && element.scrollTop > 0) stick(false);
    };
    element.addEventListener("scroll", look, { passive: true });
    element.addEventListener("wheel", onWheel, { passive: true });
    element.addEventListener("keydown", onKey);
    return () => {
      element.removeEventListener("scroll", look);
      element.removeEventListener("wheel", onWheel);
      element.removeEventListener("keydown", onKey);
    };
  }, [stick]);

  // After every drawing: whatever made the content grow, its end is what the reader is looking at.
  useLayoutEffect(() => {
    const element = scroller.current;
    if (sticks.current && element !== null) element.scrollTop = element.scrollHeight;
  });

  return { scroller, isAtEnd, goToEnd };
}
